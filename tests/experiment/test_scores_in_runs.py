"""Arms that train scores, in runs: exact counts, and weights that never moved."""

import pytest
import torch
from every_arm import Made
from safetensors.torch import load
from tiny_runs import TINY, digests, planned, run_in

from lottery_ticket import register_arm, register_policy
from lottery_ticket.arms import ARMS
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.objects.initial import recorded_initial
from lottery_ticket.pruning import POLICIES, EdgePopup, Sampled
from lottery_ticket.spec import spec_from_mapping

SCORED = ("supermask", "edge_popup")
AT_THETA_0 = {"policy": {"values": "initial", "rescale": False}}
SPEC = TINY | {
    "arms": [{arm: AT_THETA_0} for arm in SCORED],
    "train": TINY["train"] | {"clip_norm": 1.0, "weight_decay": 1e-4},
}


def made_in(folder, spec, **options) -> Made:
    store, outcome = run_in(folder, spec, **options)
    assert outcome.is_complete, outcome.failures
    return Made(store, planned(spec))


def check_never_moved(made: Made) -> None:
    """Kept weights are θ₀ to the bit, exactly as many as planned; all else is as it was drawn."""
    for row in (row for row in made.plan.rows if row.level):
        record, mask = made.record(row.cell), made.mask(row.arm, row.level)
        budget = made.plan.budgets[row.level]
        assert mask.num_kept == record.results["num_kept"] == budget.total
        for name, count in budget.per_layer or ():
            assert int(mask[name].sum()) == count
        initial, found = recorded_initial(record).state_dict(), made.tensors(row.cell)
        for name, value in initial.items():
            assert torch.equal(found[name], value * mask[name] if name in mask else value)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_weights_are_theta_0_and_counts_are_exact(scope, tmp_path):
    prune = {"densities": [0.3, 0.05], "scope": scope}
    made = made_in(tmp_path, spec_from_mapping(SPEC | {"prune": prune}))
    assert {row.arm for row in made.plan.rows} == set(SCORED)
    check_never_moved(made)


def test_weights_that_are_rescaled_are_caught(tmp_path):
    spec = spec_from_mapping(SPEC | {"arms": [{"edge_popup": {"policy": {"values": "initial"}}}]})
    with pytest.raises(AssertionError):
        check_never_moved(made_in(tmp_path, spec))


def test_the_same_bytes_whatever_executes_them(tmp_path):
    """In groups, in a pool, and where direct execution was asked for of all others."""
    spec = spec_from_mapping(SPEC | {"replicates": 2})
    run_in(tmp_path / "plain", spec, kernels="autograd", threads=1)
    run_in(tmp_path / "pool", spec, kernels="autograd", threads=1, jobs=2)
    run_in(tmp_path / "group", spec, kernels="autograd", threads=1, group=4)
    plain = digests(tmp_path / "plain")
    assert digests(tmp_path / "pool") == plain
    scored = {
        row.cell for row in planned(spec).rows if row.level
    }  # a dense net of a group may differ in rounding
    grouped = digests(tmp_path / "group")
    for path, digest in plain.items():
        if any(cell in path for cell in scored):
            assert grouped[path] == digest


def test_a_policy_of_ones_own_trains_scores(tmp_path):
    class Coarse(EdgePopup):
        """Of whole rows that a score speaks for: the mean of their own."""

        def sampled(self, scores, generator):
            mask, slope = super().sampled(scores, generator)
            return Sampled(
                mask, {name: value.mean(0, keepdim=True) for name, value in slope.items()}
            )

    with ARMS.restored(), POLICIES.restored():
        register_policy("coarse", uses_criterion=False)(
            lambda target, lr=0.2: Coarse(target.keep, "initial", False, lr)
        )
        register_arm("coarse", mask="during", policy="coarse")
        made = made_in(
            tmp_path, spec_from_mapping(SPEC | {"arms": [{"coarse": {"policy": {"lr": 0.3}}}]})
        )
        check_never_moved(made)
        rates = [r["lr"] for r in made.record(made.row("coarse", 1).cell).results["history"]]
        assert 0 < rates[0] < 0.3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"values": "trained"}, "policy 'supermask': values: got 'trained'"),
        ({"lr": 0.0}, "policy 'supermask': lr: got 0.0"),
        ({"schedule": "linear"}, "policy 'supermask': schedule: got 'linear'"),
        ({"rate": 3}, "rate"),
    ],
)
def test_options_that_make_no_sense_are_said_before_anything_trains(options, said):
    with pytest.raises(UsageError, match=said):
        planned(spec_from_mapping(SPEC | {"arms": [{"supermask": {"policy": options}}]}))


def test_structures_are_refused():
    with pytest.raises(UsageError, match="'supermask' prunes single weights"):
        spec_from_mapping(SPEC | {"arms": ["supermask"], "prune": {"scope": "2:4", "levels": 1}})


def test_what_is_stored_can_be_read_as_any_training(tmp_path):
    made = made_in(tmp_path, spec_from_mapping(SPEC))
    record = made.record(made.row("supermask", 2).cell)
    kept = load(made.store.read(record, "weights.safetensors"))
    assert (
        sum(int((value != 0).sum()) for n, value in kept.items() if n.endswith("weight"))
        == (record.results["num_kept"])
    )
