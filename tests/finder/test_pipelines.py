"""One record, five pipelines: where weights, learning rate and optimiser state come from."""

import copy

import pytest
import torch
import torch.nn.functional as F
from own_loops import NUM_TRAIN, STEPS_PER_EPOCH, Loop, X, Y, net

from lottery_ticket import LotteryTicketFinder, UsageError
from lottery_ticket.pruning import PIPELINES, Pipeline

TOTAL = 2 * STEPS_PER_EPOCH
K = 5


class SteppedLoop(Loop):
    """A loop whose learning rate falls, that can start at any step, and that looks around."""

    def train(self, model, mask, start_step=0):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        call = {"start_step": start_step, "weights": copy.deepcopy(model.state_dict())}
        self.calls.append(call)
        model.train()
        end = max(TOTAL, start_step + STEPS_PER_EPOCH)
        for step in range(start_step, end):
            for group in optimizer.param_groups:
                group["lr"] = 0.1 * (1 - min(step, TOTAL - 1) / TOTAL)
            optimizer.zero_grad()
            rows = torch.randperm(NUM_TRAIN)[:100]
            F.cross_entropy(model(X[rows]), Y[rows]).backward()
            if step == start_step:
                # seen by the hook that runs before this step
                optimizer.register_step_pre_hook(self._note_state)
            optimizer.step()
            if step + 1 == K:
                call["at_k"] = copy.deepcopy((model.state_dict(), optimizer.state_dict()["state"]))
        call["at_end"] = copy.deepcopy((model.state_dict(), optimizer.state_dict()["state"]))

    def _note_state(self, optimizer, args, kwargs):
        if "first_state" not in self.calls[-1]:
            self.calls[-1]["first_state"] = copy.deepcopy(optimizer.state_dict()["state"])


def check_pipeline(pipeline, expected, rewind_step=None):
    loop = SteppedLoop()
    finder = LotteryTicketFinder(model_fn=net)
    _, _, results = finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        target_sparsity=0.8,
        pruning_rounds=2,
        pipeline=pipeline,
        rewind_step=rewind_step,
        verbose=False,
    )
    assert results.is_valid
    dense = loop.calls[0]
    assert dense["start_step"] == 0
    assert results.table["start_step"].tolist() == [call["start_step"] for call in loop.calls]
    assert not dense["first_state"]
    masks = results.search.masks
    for level in (1, 2):
        call, before = loop.calls[level], loop.calls[level - 1]
        sources = {
            "start": (finder.initial_state, 0, {}),
            "rewind": (dense["at_k"][0], K, dense["at_k"][1]),
            "end": (before["at_end"][0], TOTAL, before["at_end"][1]),
        }
        weights, step, state = (sources[where][i] for i, where in enumerate(expected))
        assert call["start_step"] == step
        for name, value in call["weights"].items():
            kept = masks[level].get(name)
            wanted = weights[name] if kept is None else weights[name] * kept
            assert torch.equal(value, wanted), f"{name} at level {level}"
        assert sorted(call["first_state"]) == sorted(state)
        for index, (name, _) in enumerate(finder._model.named_parameters()):
            if state:
                wanted = state[index]["momentum_buffer"]
                if name in masks[level]:
                    wanted = wanted * masks[level][name]
                assert torch.equal(call["first_state"][index]["momentum_buffer"], wanted)


EXPECTED = {
    "lth": ("start", "start", "start"),
    "rewind": ("rewind", "rewind", "rewind"),
    "lr_rewind": ("end", "start", "start"),
    "finetune": ("end", "end", "end"),
}


@pytest.mark.parametrize("pipeline", EXPECTED)
def test_pipelines_start_where_their_record_says(pipeline):
    check_pipeline(pipeline, EXPECTED[pipeline], K if pipeline == "rewind" else None)


@pytest.mark.parametrize(
    ("pipeline", "other"),
    [
        ("lth", ("end", "start", "start")),
        ("rewind", ("rewind", "rewind", "start")),
        ("rewind", ("start", "rewind", "rewind")),
        ("lr_rewind", ("start", "start", "start")),
        ("finetune", ("end", "end", "start")),
        ("finetune", ("end", "start", "end")),
    ],
)
def test_other_starts_are_caught(pipeline, other):
    with pytest.raises(AssertionError):
        check_pipeline(pipeline, other, K if pipeline == "rewind" else None)


@pytest.mark.parametrize("is_loaded", [False, True])
def test_controls_of_fine_tuning_go_on_from_the_dense_net(is_loaded, tmp_path):
    loop = SteppedLoop()
    finder = LotteryTicketFinder(model_fn=net)
    finder.find_winning_ticket(
        None, loop.train, loop.accuracy, 0.8, 2, False, pipeline="finetune", resume=tmp_path
    )
    if is_loaded:
        finder = LotteryTicketFinder(model_fn=net)
        finder.load_experiment(tmp_path)
    finder.verify(loop.train, loop.accuracy, ["oneshot"], verbose=False)
    dense, control = loop.calls[0], loop.calls[-1]
    assert control["start_step"] == TOTAL
    for index, name in enumerate(n for n, _ in net().named_parameters()):
        kept = control["weights"][name] != 0
        assert torch.equal(control["weights"][name], dense["at_end"][0][name] * kept)
        momentum = control["first_state"][index]["momentum_buffer"]
        is_masked = name in finder.mask
        wanted = dense["at_end"][1][index]["momentum_buffer"]
        assert torch.equal(momentum, wanted * kept if is_masked else wanted)


def test_a_record_of_ones_own():
    own = Pipeline("between", "end", "rewind", "start", "fresh")
    check_pipeline(own, ("rewind", "start", "start"), K)


def test_what_a_pipeline_needs_is_said_before_training():
    loop = SteppedLoop()
    finder = LotteryTicketFinder(model_fn=net)
    functions = {"train_fn": loop.train, "eval_fn": loop.accuracy}
    with pytest.raises(UsageError, match="pass rewind_step=k"):
        finder.find_winning_ticket(**functions, pipeline="rewind")
    with pytest.raises(UsageError, match="rewind_step has no effect on this pipeline"):
        finder.find_winning_ticket(**functions, rewind_step=5)
    with pytest.raises(UsageError, match="unknown pipeline 'rewindd'; did you mean 'rewind'"):
        finder.find_winning_ticket(**functions, pipeline="rewindd")
    functions["train_fn"] = Loop().train
    with pytest.raises(UsageError, match=r"let train_fn take it: train_fn\(model, mask, start_"):
        finder.find_winning_ticket(**functions, pipeline="rewind", rewind_step=5)
    with pytest.raises(UsageError, match="let train_fn take it"):
        finder.find_winning_ticket(**functions, pipeline="finetune")
    with pytest.raises(UsageError, match="weights_from is 'middle'; valid: start, rewind, end"):
        Pipeline("between", "end", "middle", "start", "fresh")
    assert loop.calls == []


def test_a_rewind_step_that_is_never_reached():
    loop = SteppedLoop()
    with pytest.raises(UsageError, match=r"rewind_step 1000 was not reached: .* 24 optimiser"):
        LotteryTicketFinder(model_fn=net).find_winning_ticket(
            train_fn=loop.train, eval_fn=loop.accuracy, pipeline="rewind", rewind_step=1000
        )


def test_every_pipeline_is_pinned():
    assert set(PIPELINES) == {*EXPECTED, "at_init"}
