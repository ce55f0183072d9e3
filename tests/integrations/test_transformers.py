"""A mask, a policy and a search in transformers' own Trainer, on real text (`make hf`)."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="`make hf` has transformers")
pytest.importorskip("accelerate", reason="`make hf` has accelerate")

from safetensors.torch import load_file
from trainer_tasks import (
    VOCABULARY,
    accuracy,
    arguments,
    bert,
    bert_unseeded,
    digest,
    gpt2,
    halves,
    search_by_trainer,
    sentences,
    train_by_callback,
)
from transformers import Trainer, TrainerCallback

from lottery_ticket import LotteryTicketFinder, PruningMask, prune
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.integrations.transformers import (
    PruningCallback,
    trainer_functions,
)

pytestmark = [
    # the older name of the argument, which versions that are still supported know alone
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning"),
]
SCRIPT = Path(__file__).parent / "trainer_tasks.py"


@pytest.fixture(scope="session")
def text(data_dir):
    return data_dir / "tinyshakespeare" / "input.txt"


class Zeros(TrainerCallback):
    """Sees that after each step what is pruned is zero, in weights and optimiser."""

    def __init__(self, mask):
        self.mask, self.num_looks = mask, 0

    def on_step_end(self, args, state, control, **kwargs):
        parameters = dict(kwargs["model"].named_parameters())
        memory = kwargs["optimizer"].state
        for name, kept in self.mask().items():
            assert not parameters[name][~kept].any(), name
            for value in memory.get(parameters[name], {}).values():
                if isinstance(value, torch.Tensor) and value.shape == kept.shape:
                    assert not value[~kept].any(), name
        self.num_looks += 1


def held(out, text, *callbacks, model=None, mask=None, **options):
    """(model, mask, number of looks) of a training that is looked at after each step."""
    model = bert() if model is None else model
    mask = prune(model, sparsity=0.8) if mask is None else mask
    mask.apply(model)
    data = halves(text)[0] if model.config.model_type == "bert" else sentences(text)
    zeros = Zeros(lambda: mask)
    trainer = Trainer(
        model, arguments(out, **options), train_dataset=data,
        callbacks=[*(make(mask) for make in callbacks), zeros],
    )  # fmt: skip
    before = digest(model.state_dict())
    trainer.train()
    assert digest(model.state_dict()) != before
    return model, mask, zeros.num_looks


WAYS = {
    "plainly": {},
    "accumulated": {"gradient_accumulation_steps": 3, "max_grad_norm": 0.1},
    "in bf16": {"bf16": True, "weight_decay": 0.1},
    "checkpointed": {"gradient_checkpointing": True},
    "by momentum": {"optim": "sgd", "optim_args": "momentum=0.9", "learning_rate": 0.1},
    "by Adafactor": {"optim": "adafactor"},
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_pruned_is_zero_after_each_step(way, text, tmp_path):
    options = WAYS[way]
    _, _, looks = held(tmp_path, text, PruningCallback, **options)
    assert looks == 36 // options.get("gradient_accumulation_steps", 1)


class Multiplied(TrainerCallback):
    """Somebody's own, which forgets the optimiser."""

    def __init__(self, mask):
        self._mask = mask

    def on_optimizer_step(self, args, state, control, **kwargs):
        self._mask.apply(kwargs["model"])


@pytest.mark.parametrize("callbacks", [[], [Multiplied]])
def test_a_mask_that_is_not_held_is_caught(callbacks, text, tmp_path):
    with pytest.raises(AssertionError, match="weight"):
        held(tmp_path, text, *callbacks)


def test_gpt2(text, tmp_path):
    """Its layers' weights are (in, out); its output shares the embeddings, and stays tied."""
    model = gpt2()
    mask = prune(model, sparsity=0.9)
    sizes = [32 * 96, 32 * 32, 32 * 128, 128 * 32] * 2  # c_attn, c_proj, c_fc, c_proj
    assert [kept.numel() for kept in mask.values()] == sizes
    assert mask.num_kept == sum(sizes) - (9 * sum(sizes) + 5) // 10
    by_hand = torch.cat([model.get_parameter(n).detach().abs().flatten() for n in mask])
    least_kept = by_hand.topk(mask.num_kept).values[-1]
    for name, kept in mask.items():
        assert torch.equal(kept, model.get_parameter(name).detach().abs() >= least_kept)
    held(tmp_path, text, PruningCallback, model=model, mask=mask)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert model.lm_head.weight.shape == (VOCABULARY, 32)


def test_a_policy_ends_where_it_should(text, tmp_path):
    found = train_by_callback(tmp_path, text, {"callback": {"policy": "gradual", "sparsity": 0.9}})
    size = PruningMask(bert()).num_prunable
    assert found["num_kept"] == size - round(0.9 * size)
    assert found["num_steps"] == 36
    densities = [
        PruningMask.from_file(tmp_path / f"checkpoint-{step}" / "pruning_mask.safetensors").density
        for step in (5, 15, 25, 35)
    ]
    assert sorted(densities, reverse=True) == densities
    assert densities[0] > densities[1] > densities[-1]


def run_script(kind, out, text, **options):
    out.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), kind, str(out), str(text), json.dumps(options)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if options.get("die_at"):
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        return None
    assert ended.returncode == 0, ended.stderr
    return json.loads((out / "told.json").read_text())


STATES = {
    "a mask and a rewind point": {"rewind_step": 7},
    "a policy": {"policy": "gradual", "sparsity": 0.9, "rewind_step": 30},
}


@pytest.mark.parametrize("state", STATES)
def test_a_killed_training_ends_as_if_it_had_not_been(state, text, tmp_path):
    options = {"callback": STATES[state], "args": {"save_total_limit": 2}}
    undisturbed = train_by_callback(tmp_path / "undisturbed", text, options)
    run_script("callback", tmp_path / "killed", text, **options, die_at=18)
    found = run_script("callback", tmp_path / "killed", text, **options, resume=True)
    first = undisturbed.pop("notes"), found.pop("notes")
    assert first[1] == first[0][15:]  # those of steps 16 to 36: by the checkpoint of step 15
    assert found == undisturbed
    assert found["num_steps"] == 36


def test_a_checkpoint_that_tells_nothing_is_caught(text, tmp_path):
    options = {"callback": {"rewind_step": 7}}
    undisturbed = train_by_callback(tmp_path / "undisturbed", text, options)
    options["is_forgetful"] = True
    run_script("callback", tmp_path / "killed", text, **options, die_at=18)
    with pytest.raises(UsageError, match="rewind_step 7 lies before start_step 15"):
        train_by_callback(tmp_path / "killed", text, options | {"resume": True})
    assert undisturbed["rewind_step"] == 7


def test_a_checkpoint_elsewhere_is_found_by_what_it_tells(text, tmp_path):
    options = {"callback": {"rewind_step": 7}}
    whole = train_by_callback(tmp_path / "one", text, options)
    resume = str(tmp_path / "one" / "checkpoint-15")
    found = train_by_callback(tmp_path / "two", text, options | {"resume": resume})
    assert (found["weights"], found["rewind_point"]) == (whole["weights"], whole["rewind_point"])
    (tmp_path / "one" / "checkpoint-15" / "pruning_state.pt").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"pruning_state.* are not there as they were"):
        train_by_callback(tmp_path / "three", text, options | {"resume": resume})


def test_where_a_moved_checkpoint_goes_is_said(text, tmp_path):
    options = {"callback": {"rewind_step": 7}}
    whole = train_by_callback(tmp_path / "one", text, options)
    moved = (tmp_path / "one").rename(tmp_path / "moved") / "checkpoint-15"
    with pytest.raises(DataError, match=r"copy the checkpoint to \S+") as caught:
        train_by_callback(tmp_path / "two", text, options | {"resume": str(moved)})
    named = Path(str(caught.value).rpartition(" ")[2])
    assert named == tmp_path / "two" / "checkpoint-15"
    shutil.copytree(moved, named)
    found = train_by_callback(tmp_path / "two", text, options | {"resume": str(moved)})
    assert (found["weights"], found["rewind_point"]) == (whole["weights"], whole["rewind_point"])


class Interrupts(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 6:
            raise KeyboardInterrupt


def test_an_interrupted_training_tells_and_is_detached(text, tmp_path):
    model = bert()
    callback = PruningCallback(prune(model, sparsity=0.8), rewind_step=2)
    assert (callback.attached, callback.num_steps, callback.rewind_point) == (None, 0, None)

    def trainer(*others):
        return Trainer(model, arguments(tmp_path, max_steps=8), train_dataset=halves(text)[0],
                       callbacks=[callback, *others])  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        trainer(Interrupts()).train()
    assert (callback.num_steps, callback.rewind_point.step) == (6, 2)
    assert callback.attached.mask == callback.mask
    name = next(iter(callback.mask))
    callback.detach()
    assert callback.attached is None
    assert (callback.num_steps, callback.rewind_point.step) == (6, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad():
        model.get_parameter(name).fill_(1.0)
    optimizer.step()
    assert model.get_parameter(name).all()  # nothing holds it any more
    callback.mask.apply(model)
    trainer().train()
    assert callback.num_steps == 8


@pytest.mark.parametrize("callback", [{}, {"policy": "gradual", "sparsity": 0.9}])
def test_the_best_model_comes_with_its_mask(callback, text, tmp_path):
    model = bert()
    mask = PruningMask(model) if callback else prune(model, sparsity=0.8)
    pruning = PruningCallback(mask, **callback)
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
    best |= {"save_strategy": "steps", "save_steps": 6, "eval_strategy": "steps", "eval_steps": 6}
    trainer = Trainer(
        model,
        arguments(tmp_path, learning_rate=3e-2, **best),
        train_dataset=halves(text)[0],
        eval_dataset=halves(text)[1],
        callbacks=[pruning],
    )  # fmt: skip
    trainer.train()
    folder = Path(trainer.state.best_model_checkpoint)
    assert folder.name != "checkpoint-36"  # or nothing would be loaded that differs
    assert pruning.mask == PruningMask.from_file(folder / "pruning_mask.safetensors")
    for name, kept in pruning.mask.items():
        assert not model.get_parameter(name)[~kept].any()
    for name, value in load_file(folder / "model.safetensors").items():
        assert torch.equal(model.state_dict()[name], value), name
    assert pruning.num_steps == 36


@pytest.mark.parametrize(
    ("callback", "options", "reason"),
    [
        (lambda mask: PruningCallback(), {}, "no mask; pass one"),
        (lambda mask: PruningCallback(prune(gpt2(), sparsity=0.5)), {}, "has no parameter"),
    ],
)
def test_a_training_without_its_mask_is_refused(callback, options, reason, text, tmp_path):
    with pytest.raises(UsageError, match=reason):
        held(tmp_path, text, callback, **options)


def test_two_masks_are_refused(text, tmp_path):
    with pytest.raises(UsageError, match="several; one mask is held at a time"):
        held(tmp_path, text, PruningCallback, PruningCallback)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"mask": 0.9}, "mask: got a float, wanted a PruningMask"),
        ({"policy": "gradual"}, "prunes to what sparsity"),
        ({"policy": "gradul", "sparsity": 0.9}, "did you mean 'gradual'"),
        ({"policy": 3}, "policy: got a int, wanted a MaskPolicy or the name"),
        ({"policy": "gradual", "sparsity": 90}, "sparsity"),
        ({"sparsity": 0.9}, "sparsity has no effect"),
        ({"rewind": 3}, "did you mean 'rewind_step'"),
    ],
)
def test_arguments_that_do_not_go_together(how, reason):
    with pytest.raises(UsageError, match=reason):
        PruningCallback(**how)


@pytest.mark.parametrize("name", ["deepspeed", "fsdp"])
def test_sharded_weights_are_refused(name, text, tmp_path):
    args = arguments(tmp_path)
    callback = PruningCallback(prune(bert(), sparsity=0.5))
    callback.on_init_end(args, None, None)
    setattr(args, name, "zero.json")  # the Trainer itself wants the library, and several processes
    with pytest.raises(UsageError, match=r"(DeepSpeed|FSDP).*train with DDP"):
        callback.on_init_end(args, None, None)


@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        ({"rewind_step": 7}, {"rewind_step": 8}, "trained with rewind_step 7, this callback has 8"),
        ({"policy": "gradual", "sparsity": 0.9}, {}, "trained with policy 'gradual'"),
        (
            {"policy": "gradual", "sparsity": 0.9},
            {"policy": "gradual", "sparsity": 0.8},
            "trained with sparsity 0.9, this callback has 0.8",
        ),
    ],
)
def test_a_checkpoint_of_another_callback_is_refused(first, then, reason, text, tmp_path):
    train_by_callback(tmp_path, text, {"callback": first, "args": {"max_steps": 10}})
    with pytest.raises(UsageError, match=reason):
        train_by_callback(tmp_path, text, {"callback": then, "resume": True})


def test_a_checkpoint_of_another_mask_is_refused(text, tmp_path):
    train_by_callback(tmp_path, text, {"callback": {}, "args": {"max_steps": 10}})
    other = PruningCallback(prune(bert(), sparsity=0.5))
    trainer = Trainer(bert(), arguments(tmp_path), train_dataset=halves(text)[0], callbacks=[other])
    with pytest.raises(UsageError, match="trained under another mask"):
        trainer.train(resume_from_checkpoint=True)


def test_the_trainers_own_restoring_of_callbacks(text, tmp_path):
    """It makes a new one without arguments: fine for a mask, which lies in the checkpoint."""
    args = {"restore_callback_states_from_checkpoint": True}
    whole = train_by_callback(tmp_path / "whole", text, {"callback": {}, "args": args})
    resume = str(tmp_path / "whole" / "checkpoint-15")
    again = {"callback": {}, "args": args, "resume": resume}
    assert train_by_callback(tmp_path / "again", text, again)["weights"] == whole["weights"]
    policy = {"policy": "gradual", "sparsity": 0.9}
    train_by_callback(tmp_path / "policy", text, {"callback": policy, "args": {"max_steps": 10}})
    with pytest.raises(UsageError, match="makes a callback of its own"):
        train_by_callback(
            tmp_path / "policy", text, {"callback": policy, "args": args, "resume": True}
        )


def test_a_checkpoint_from_before_there_was_a_mask(text, tmp_path):
    dense = Trainer(
        bert(), arguments(tmp_path, save_strategy="steps", save_steps=5, max_steps=10),
        train_dataset=halves(text)[0],
    )  # fmt: skip
    dense.train()
    found = train_by_callback(tmp_path, text, {"callback": {}, "resume": True})
    assert (found["num_steps"], len(found["notes"])) == (36, 26)


def by_level(notes):
    """The notes of each training."""
    found = []
    for note in notes:
        if not found or note["step"] <= found[-1][-1]["step"]:
            found.append([])
        found[-1].append(note)
    return found


@pytest.fixture(scope="module")
def searched(text, tmp_path_factory):
    out = tmp_path_factory.mktemp("search")
    return search_by_trainer(out, text, {"search": {}, "arms": ["reinit", "random", "gradual"]})


def test_a_search_by_trainers(searched):
    size = 2 * (4 * 32 * 32 + 2 * 32 * 48)
    kept = [size, size // 2, size // 4, size // 4, size // 4, size // 4]
    assert [row[:2] for row in searched["rows"]] == list(
        zip(["ticket"] * 3 + ["reinit", "random", "gradual"], kept, strict=True)
    )
    assert not searched["problems"]
    assert all(row[3] == 36 for row in searched["rows"])
    assert all(len(notes) == 36 for notes in by_level(searched["notes"]))


def test_each_level_reads_in_an_order_of_its_own(searched):
    """And controls in that of the ticket's level."""
    levels = by_level(searched["notes"])
    orders = [tuple(note["read"] for note in notes) for notes in levels]
    assert len(set(orders[:3])) == 3
    assert set(orders[3:]) == {orders[2]}


def check_starts_at(notes, k):
    """Levels after the first start with the learning rate and the data of step k."""
    dense, *levels = by_level(notes)
    assert len(dense) == 36
    assert len(levels) == 2
    for found in levels:
        assert found == dense[k:]


REWOUND = {"search": {"pipeline": "rewind", "rewind_step": 15}, "args": {"data_seed": 3}}


def test_rewinding_starts_at_the_step(text, tmp_path):
    """Not at the start of an epoch; the order is one for all levels, since `data_seed` says so."""
    found = search_by_trainer(tmp_path, text, REWOUND)
    check_starts_at(found["notes"], 15)
    assert [row[3] for row in found["rows"]] == [36, 36, 36]
    assert not found["problems"]
    assert not list((tmp_path / "out").glob("*/start"))


def test_data_from_the_start_is_caught(text, tmp_path):
    skipping = REWOUND | {"args": {"data_seed": 3, "ignore_data_skip": True}}
    found = search_by_trainer(tmp_path, text, skipping)
    with pytest.raises(AssertionError):
        check_starts_at(found["notes"], 15)


@pytest.mark.parametrize("search", [{}, {"pipeline": "rewind", "rewind_step": 7}])
def test_a_killed_search_ends_as_if_it_had_not_been(search, text, tmp_path):
    """Killed in each of its trainings, after θ_k and a checkpoint."""
    options = {"search": search}
    undisturbed = search_by_trainer(tmp_path / "undisturbed", text, options)
    num_steps = []
    for die_at in (18, 36 + 9 - 15, 36 + 9 - 15):
        run_script("search", tmp_path / "killed", text, **options, die_at=die_at)
    found = run_script("search", tmp_path / "killed", text, **options)
    num_steps = [len(notes) for notes in by_level(found.pop("notes"))]
    undisturbed.pop("notes")
    assert found == json.loads(json.dumps(undisturbed))
    assert num_steps[0] < 36  # that level went on from a checkpoint


def test_a_pipeline_that_goes_on_after_the_end_is_refused(text, tmp_path):
    with pytest.raises(UsageError, match=r"starts a training at step 36, .* ends at 36"):
        search_by_trainer(tmp_path, text, {"search": {"pipeline": "finetune"}})


def test_a_schedule_that_follows_a_metric_is_refused(text, tmp_path):
    args = {"lr_scheduler_type": "reduce_lr_on_plateau", "eval_strategy": "epoch"}
    with pytest.raises(UsageError, match="follows a metric"):
        search_by_trainer(tmp_path, text, REWOUND | {"args": args})


def test_pretrained_weights_are_the_start(text, tmp_path):
    """They are rewound to, bit for bit; embeddings and head are not pruned."""
    model = bert(seed=5)
    start = {name: value.clone() for name, value in model.state_dict().items()}

    def make_trainer(model):
        return Trainer(model, arguments(tmp_path, max_steps=6), train_dataset=halves(text)[0],
                       eval_dataset=halves(text)[1], compute_metrics=accuracy)  # fmt: skip

    finder = LotteryTicketFinder(targets=["re:bert.encoder"])
    loop = trainer_functions(make_trainer, metric="eval_accuracy")
    _, mask, _ = finder.find_winning_ticket(
        model, **loop, target_sparsity=0.5, pruning_rounds=1, verbose=False
    )
    assert len(mask) == 12
    assert all(name.startswith("bert.encoder.") for name in mask)
    begun = finder.ticket().weights()
    for name, value in start.items():
        wanted = value.masked_fill(~mask[name], 0.0) if name in mask else value
        assert torch.equal(begun[name], wanted), name


def test_bf16_leaves_the_model_plain(text, tmp_path):
    """accelerate wraps a model's forward; it would be wrapped once more at each level."""
    model = bert_unseeded()

    def make_trainer(model):
        return Trainer(model, arguments(tmp_path, bf16=True, max_steps=3),
                       train_dataset=halves(text)[0], eval_dataset=halves(text)[1])  # fmt: skip

    finder = LotteryTicketFinder(mode="min")
    functions = trainer_functions(make_trainer)
    finder.find_winning_ticket(model, **functions, pruning_rounds=2, verbose=False)
    assert set(vars(model)) == set(vars(bert_unseeded()))


def wrong(*, model=None, **trainer):
    def make(given, text, out):
        data = {"train_dataset": halves(text)[0], "eval_dataset": halves(text)[1]}
        return Trainer(model or given, arguments(out, max_steps=2), **data, **trainer)

    return make


MAKERS = {
    "no Trainer": (lambda model, text, out: model, "returned a BertForSequenceClassification"),
    "another model": (wrong(model=bert_unseeded()), "trains another model than it was given"),
    "a mask": (wrong(callbacks=[PruningCallback()]), "has a PruningCallback; leave it out"),
}


@pytest.mark.parametrize("case", MAKERS)
def test_a_function_that_makes_something_else_is_refused(case, text, tmp_path):
    make, reason = MAKERS[case]
    loop = trainer_functions(lambda model: make(model, text, tmp_path))
    finder = LotteryTicketFinder(model_fn=bert_unseeded, mode="min")
    with pytest.raises(UsageError, match=reason):
        finder.find_winning_ticket(**loop, verbose=False)


def test_metrics_that_are_not_there_and_other_modes_are_refused(text, tmp_path):
    def make_trainer(model):
        return wrong()(model, text, tmp_path)

    loss = trainer_functions(make_trainer)
    with pytest.raises(UsageError, match=r"LotteryTicketFinder\(mode='min'\)"):
        LotteryTicketFinder(model_fn=bert_unseeded).find_winning_ticket(**loss)
    missing = trainer_functions(make_trainer, metric="eval_acuracy")
    with pytest.raises(UsageError, match="gives no 'eval_acuracy'"):
        LotteryTicketFinder(model_fn=bert_unseeded).find_winning_ticket(**missing)
    with pytest.raises(UsageError, match="got a Trainer, wanted a function"):
        trainer_functions(make_trainer(bert()))
    with pytest.raises(UsageError, match=r"metric: got None, wanted a key"):
        trainer_functions(make_trainer, metric=None)


@pytest.mark.parametrize(
    ("how", "mode", "told"),
    [
        ({"metric": "eval_perplexity"}, "max", r"LotteryTicketFinder\(mode='min'\)"),
        ({"metric": "eval_wer"}, "max", r"LotteryTicketFinder\(mode='min'\)"),
        ({"metric": "eval_los"}, "min", r"greater_is_better=False\); did you mean 'eval_loss'\?"),
        (
            {"metric": "eval_odd"},
            "min",
            r"trainer_functions\(.*'eval_odd', greater_is_better=False",
        ),
        ({"greater_is_better": True}, "min", r"greater_is_better=False\)"),
    ],
)
def test_a_direction_that_is_not_the_finders_is_refused(how, mode, told):
    loop = trainer_functions(lambda model: None, **how)
    finder = LotteryTicketFinder(model_fn=bert_unseeded, mode=mode)
    with pytest.raises(UsageError, match=told):
        finder.find_winning_ticket(**loop)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"auto_find_batch_size": True}, "choose per_device_train_batch_size"),
        ({}, "has no eval_dataset"),
    ],
)
def test_trainers_that_cannot_search_are_refused_at_once(how, told, text, tmp_path):
    def make_trainer(model):
        given = {"eval_dataset": halves(text)[1]} if how else {}
        data = {"train_dataset": halves(text)[0], **given}
        return Trainer(model, arguments(tmp_path, max_steps=2, **how), **data)

    finder = LotteryTicketFinder(model_fn=bert_unseeded, mode="min")
    with pytest.raises(UsageError, match=told):
        finder.find_winning_ticket(**trainer_functions(make_trainer), verbose=False)


@pytest.mark.parametrize("saves", ["no", "steps"])
def test_finished_trainings_leave_no_folders(saves, text, tmp_path):
    folders = []

    class Sees(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            folders.append(Path(args.output_dir) / f"checkpoint-{state.global_step}")
            assert folders[-1].is_dir()

    def make_trainer(model):
        args = arguments(tmp_path, max_steps=4, save_strategy=saves, save_steps=2)
        data = {"train_dataset": halves(text)[0], "eval_dataset": halves(text)[1]}
        return Trainer(model, args, **data, callbacks=[Sees()])

    finder = LotteryTicketFinder(model_fn=bert_unseeded, mode="min")
    finder.find_winning_ticket(
        **trainer_functions(make_trainer), target_sparsity=0.5, pruning_rounds=1, verbose=False
    )
    assert len(folders) == (4 if saves == "steps" else 0)
    assert not list(tmp_path.glob("training-*"))


def test_the_page_runs_and_prints_what_it_shows(tmp_path, monkeypatch):
    from test_docs import ROOT, run_page
    from transformers.trainer_callback import PrinterCallback

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(PrinterCallback, "on_log", lambda *args, **kwargs: None)
    text = (ROOT / "docs" / "hugging-face.md").read_text(encoding="utf-8")
    assert run_page(text) == 4


def test_the_example_runs(text, tmp_path):
    script = Path(__file__).parents[2] / "examples" / "bert_tickets.py"
    few = ["--pretraining-steps", "3", "--steps", "3", "--levels", "1", "--model", "gpt2"]
    out = ["--json", str(tmp_path / "rows.json"), "--task", "words"]
    subprocess.run([sys.executable, script, "--text", text, *few, *out], check=True, timeout=300)
    rows = json.loads((tmp_path / "rows.json").read_text())
    densities = {row["arm"]: row["density"] for row in rows if row["level"]}
    assert set(densities) == {"ticket", "random", "shuffled", "reinit"}
    assert all(density == pytest.approx(0.2, abs=1e-4) for density in densities.values())
    # of each of two layers: attention in and out, and the two around the middle
    assert {row["num_prunable"] for row in rows} == {2 * 64 * (3 * 64 + 64 + 256 + 256)}
