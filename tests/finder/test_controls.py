"""Every control of a search: which mask it trains, and from which weights; one's own arms too."""

import pytest
import torch
from own_loops import Loop, X, Y, net

from lottery_ticket import LotteryTicketFinder, UsageError, register_arm
from lottery_ticket.arms import ARMS
from lottery_ticket.chain import At
from lottery_ticket.finder._controls import controls


@pytest.fixture(scope="module")
def searched():
    loop = Loop()
    finder = LotteryTicketFinder(model_fn=net)
    finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loop.accuracy, target_sparsity=0.8, pruning_rounds=2,
        verbose=False, batches=[(X[:200], Y[:200])],
    )  # fmt: skip
    return finder, loop, {}


def begun(searched, arm):
    """What the first training of a control began with, and how many weights it keeps."""
    finder, loop, known = searched
    if arm not in known:  # one that draws nothing is trained once
        finder.verify(loop.train, loop.accuracy, arms=[arm], verbose=False)
        known[arm] = loop.calls[-1]
    return known[arm]


def initial_of(finder):
    level = finder.results.search.best_level
    assert level == 2
    return finder.initial_state


def test_which_there_are():
    assert list(controls()) == [
        "reinit", "reinit_scaled", "values_permuted", "sign_reinit", "signed_constant",
        "shuffled", "random", "inverted", "oneshot", "gradual", "static", "set", "rigl",
        "early_bird",
        "magnitude_init", "snip", "grasp", "synflow", "iterative_snip", "force",
    ]  # fmt: skip


@pytest.mark.parametrize("arm", ["supermask", "edge_popup"])
def test_arms_that_train_scores_say_what_to_use(searched, arm):
    finder, loop, _ = searched
    with pytest.raises(UsageError, match=f"MaskScores\\(model, '{arm}', density=…\\)"):
        finder.verify(loop.train, loop.accuracy, arms=[arm], verbose=False)


@pytest.mark.parametrize("arm", ["static", "set", "rigl"])
def test_what_is_sparse_from_the_first_step_on(searched, arm):
    finder = searched[0]
    state, num_kept = begun(searched, arm)
    initial = initial_of(finder)
    kept = {name: state[name] != 0 for name in finder.mask}
    assert num_kept == finder.mask.num_kept == sum(int(each.sum()) for each in kept.values())
    assert all(torch.equal(state[name][each], initial[name][each]) for name, each in kept.items())
    assert not all(torch.equal(each, finder.mask[name]) for name, each in kept.items())


@pytest.mark.parametrize("arm", controls())
def test_each_keeps_as_many_as_the_ticket(searched, arm):
    finder = searched[0]
    begun(searched, arm)
    row = next(row for row in finder.results.rows if row.arm == arm)
    assert row.num_kept == finder.mask.num_kept
    assert not row.problems


@pytest.mark.parametrize("arm", [arm for arm, row in controls().items() if row.mask == "ticket"])
def test_under_the_tickets_mask_other_weights(searched, arm):
    finder = searched[0]
    state, _ = begun(searched, arm)
    initial = initial_of(finder)
    assert any(not torch.equal(state[n], initial[n] * finder.mask[n]) for n in finder.mask)
    for name, mask in finder.mask.items():
        found, own = state[name][mask], initial[name][mask]
        assert not state[name][~mask].any()
        if arm in ("sign_reinit", "signed_constant"):
            assert torch.equal(found.signbit(), own.signbit())
        if arm == "signed_constant":
            assert len(found.abs().unique()) == 1
        if arm == "values_permuted":
            assert torch.equal(found.sort().values, own.sort().values)


def test_scaled_weights_are_those_of_reinit_by_the_inputs_kept(searched):
    finder = searched[0]
    plain, scaled = (begun(searched, arm)[0] for arm in ("reinit", "reinit_scaled"))
    for name, mask in finder.mask.items():
        factor = (mask.shape[1] / mask.sum(1).clamp(min=1)).sqrt()
        torch.testing.assert_close(scaled[name], plain[name] * factor[:, None])


def test_inverted_keeps_the_least_of_the_dense_net(searched):
    finder = searched[0]
    state, _ = begun(searched, "inverted")
    sizes = torch.cat([finder.results.search.dense[n].abs().flatten() for n in finder.mask])
    kept = torch.cat([(state[n] != 0).flatten() for n in finder.mask])
    assert sizes[kept].max() <= sizes[~kept].min()


def test_gradual_begins_dense_at_the_initial_weights(searched):
    state, num_kept = begun(searched, "gradual")
    initial = initial_of(searched[0])
    assert all(torch.equal(state[name], initial[name]) for name in state)
    assert num_kept == searched[0].mask.num_prunable


def test_the_mask_of_gradual_is_the_one_it_ends_with(searched):
    finder, loop, _ = searched
    chain = finder._chain(finder._model_for_control(), loop.train)
    mask = chain.mask(At("gradual", finder.results.search.best_level))
    assert mask.num_kept == finder.mask.num_kept
    state = dict(chain.model.named_parameters())
    assert all(not state[name][~kept].any() for name, kept in mask.items())


def test_what_is_pruned_at_initialisation_is_so_by_its_own_criterion(searched):
    finder = searched[0]
    state, _ = begun(searched, "magnitude_init")
    sizes = torch.cat([initial_of(finder)[n].abs().flatten() for n in finder.mask])
    kept = torch.cat([(state[n] != 0).flatten() for n in finder.mask])
    assert sizes[kept].min() >= sizes[~kept].max()
    criteria = {row.arm: row.criterion for row in finder.results.rows}
    begun(searched, "snip")
    criteria = {row.arm: row.criterion for row in finder.results.rows}
    assert criteria["magnitude_init"] == criteria["ticket"] == "magnitude"
    assert criteria["snip"] == "snip"


def test_what_a_control_needs_is_said_before_it_trains():
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=net)
    finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loop.accuracy, target_sparsity=0.5, pruning_rounds=1,
        structure="2:4", verbose=False,
    )  # fmt: skip
    num_calls = len(loop.calls)
    for arm, said in (("snip", "needs data; pass batches="), ("gradual", "prunes single weights")):
        with pytest.raises(UsageError, match=said):
            finder.verify(loop.train, loop.accuracy, arms=["reinit", arm], verbose=False)
    assert len(loop.calls) == num_calls


def test_a_call_that_failed_is_made_good_by_the_next():
    class Fails(Loop):
        def train(self, model, mask):
            super().train(model, mask)
            if len(self.calls) == 4:
                raise KeyboardInterrupt

    loop = Fails(epochs=1)
    finder = LotteryTicketFinder(model_fn=net)
    finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loop.accuracy, target_sparsity=0.5, pruning_rounds=1,
        verbose=False,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        finder.verify(loop.train, loop.accuracy, replicates=3, verbose=False)
    for _ in range(2):
        finder.verify(loop.train, loop.accuracy, replicates=3, verbose=False)
    draws = [row.draw for row in finder.results.rows if row.arm == "reinit"]
    assert draws == [0, 1, 2, 3, 4, 5]


@pytest.fixture
def own_arm():
    names = []

    def register(name, **how):
        names.append(name)
        return register_arm(name, **how)

    yield register
    for name in names:
        ARMS.remove(name)


def test_arms_of_ones_own(searched, own_arm):
    finder = searched[0]

    @torch.no_grad()
    def negated(model, mask, generator):
        for parameter in model.parameters():
            parameter.neg_()

    own_arm("negated", weights=negated)
    own_arm("rolled", mask=lambda mask, generator: {n: k.roll(1, 0) for n, k in mask.items()})
    state, num_kept = begun(searched, "negated")
    initial = initial_of(finder)
    for name, mask in finder.mask.items():
        assert torch.equal(state[name], -initial[name] * mask)
    state, again = begun(searched, "rolled")
    assert num_kept == again == finder.mask.num_kept
    for name, mask in finder.mask.items():
        assert torch.equal(state[name], initial[name] * mask.roll(1, 0))
    assert {"negated", "rolled"} <= {row.arm for row in finder.results.search.rows}


def test_an_arm_whose_mask_keeps_others_is_refused(searched, own_arm):
    finder, loop, _ = searched
    own_arm("fewer", mask=lambda mask, generator: {n: k & False for n, k in mask.items()})
    with pytest.raises(UsageError, match="its mask keeps 0 weights"):
        finder.verify(loop.train, loop.accuracy, arms=["fewer"], verbose=False)


@pytest.mark.parametrize("arm", ["borrowed", "permuted"])
def test_a_search_has_no_other_replicate_to_borrow_from(searched, arm):
    finder, loop, _ = searched
    with pytest.raises(UsageError, match=f"{arm}: a search is one replicate"):
        finder.verify(loop.train, loop.accuracy, arms=[arm], verbose=False)


@pytest.mark.parametrize("arm", ["lr_rewind", "dense_long", "dense_small", "transfer", "reinti"])
def test_what_is_no_control_of_a_search_is_refused(searched, arm):
    finder, loop, _ = searched
    with pytest.raises(UsageError, match=f"unknown control '{arm}'"):
        finder.verify(loop.train, loop.accuracy, arms=[arm], verbose=False)
