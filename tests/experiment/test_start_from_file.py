"""Any model may start from a file: its weights are θ₀, and their digest is in the names."""

import pytest
import torch
from every_arm import Made
from safetensors.torch import load, save_file
from tiny_runs import TINY, planned, run_in

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.models import build
from lottery_ticket.spec import spec_from_mapping

ARMS = [
    "ticket", "reinit", "reinit_scaled", "sign_reinit", "signed_constant", "values_permuted",
    "shuffled", "oneshot", "lr_rewind", "dense_small", "magnitude_init", "snip", "gradual",
]  # fmt: skip


def weights_in(path, seed=7, **changes):
    model = build("LeNet300", seed, input_size=64, num_classes=10, hidden=[20, 10])
    state = {name: 1.5 * value for name, value in model.state_dict().items()} | changes
    if path.suffix == ".pt":
        torch.save({"state_dict": state, "epoch": 3}, path)
    else:
        save_file(state, path)
    return state


def spec_of(path, **changes):
    model = {**TINY["model"], "init": {"path": str(path)}}
    return spec_from_mapping(TINY | {"model": model, "arms": ARMS, "rewind": "3it"} | changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    state = weights_in(folder / "pretrained.safetensors")
    spec = spec_of(folder / "pretrained.safetensors")
    store, outcome = run_in(folder / "store", spec, threads=1, kernels="autograd")
    assert outcome.is_complete, outcome.failures
    return Made(store, planned(spec)), state


def first_step(made, arm, level):
    """What a training began with, as its cell starts."""
    from lottery_ticket.experiment.cells.training import _rewound_model
    from lottery_ticket.experiment.executors.stored import parents_of

    cell = made.cell(arm, level)
    parents = parents_of(cell, made.store)
    model, _ = _rewound_model(cell, parents.mask(), parents, "cpu")
    return model.state_dict()


def test_every_arm_starts_where_it_should(made):
    run, state = made
    dense = first_step(run, "ticket", 0)
    assert all(torch.equal(dense[name], state[name]) for name in state)
    for arm in ("lr_rewind", "magnitude_init", "snip", "gradual", "oneshot", "shuffled"):
        assert run.row(arm, 0).cell == run.row("ticket", 0).cell
    for arm in ("magnitude_init", "snip"):
        mask, begun = run.mask(arm, 1), first_step(run, arm, 1)
        assert all(torch.equal(begun[name], state[name] * mask[name]) for name in mask)
    fresh = first_step(run, "reinit", 0)
    assert not torch.equal(fresh["fc1.weight"], state["fc1.weight"])
    signed = first_step(run, "sign_reinit", 0)["fc1.weight"]
    assert torch.equal(signed.signbit(), state["fc1.weight"].signbit())
    assert torch.equal(signed.abs(), fresh["fc1.weight"].abs())
    constant = first_step(run, "signed_constant", 0)["fc1.weight"]
    assert torch.equal(constant.signbit(), state["fc1.weight"].signbit())
    permuted = first_step(run, "values_permuted", 0)["fc1.weight"]
    assert torch.equal(
        permuted.flatten().sort().values, state["fc1.weight"].flatten().sort().values
    )


def test_masks_before_training_are_of_these_weights(made):
    run, state = made
    mask, count = run.mask("magnitude_init", 1), run.row("magnitude_init", 1).num_kept
    sizes = torch.cat([state[name].abs().flatten() for name in mask])
    kept = torch.cat([mask[name].flatten() for name in mask])
    assert int(kept.sum()) == count
    assert sizes[kept].min() >= sizes[~kept].max()


def test_the_rewind_point_is_of_a_training_from_these_weights(made):
    run, _ = made
    (point,) = (c for c in run.plan.cells.values() if getattr(c, "until_step", None))
    (start,) = (c for c in run.plan.cells.values() if c.kind == "start")
    assert point.parents == {"weights": start.name}
    begun, mask = first_step(run, "ticket", 1), run.mask("ticket", 1)
    later = load(run.store.read(run.record(point.name), "weights.safetensors"))
    assert all(torch.equal(begun[name], later[name] * mask[name]) for name in mask)


def test_a_ticket_of_them_holds_them(made):
    from lottery_ticket.api import load_run

    run, state = made
    result = load_run("last", store=run.store.root)
    for arm in ("magnitude_init", "snip"):
        ticket = result.pruned_model(1, arm=arm).ticket
        assert all(torch.equal(ticket.origin.tensors[name], state[name]) for name in state)
    constant = result.pruned_model(1, arm="signed_constant").ticket.origin.tensors
    assert torch.equal(constant["fc1.weight"].signbit(), state["fc1.weight"].signbit())


def test_the_name_is_of_the_weights_wherever_they_lie(tmp_path):
    weights_in(tmp_path / "a.safetensors")
    weights_in(tmp_path / "b.pt")
    weights_in(tmp_path / "c.pt", seed=8)
    names = [set(planned(spec_of(tmp_path / f)).cells) for f in ("a.safetensors", "b.pt", "c.pt")]
    assert names[0] == names[1]
    fresh = {c.name for c in planned(spec_of(tmp_path / "a.safetensors")).cells.values()
             if c.kind == "train" and c.label.arm == "reinit" and not c.label.level}  # fmt: skip
    assert names[0] & names[2] >= fresh
    drawn = spec_from_mapping(TINY | {"arms": ARMS, "rewind": "3it"})
    assert planned(drawn).rows[0].cell not in names[0]


def test_a_file_that_changes_meanwhile_is_said(tmp_path):
    from lottery_ticket.experiment import Context, run_plan
    from lottery_ticket.store import Store

    path = tmp_path / "a.safetensors"
    weights_in(path)
    plan = planned(spec_of(path, arms=["ticket"]))
    weights_in(path, seed=9)
    outcome = run_plan(plan, Store(tmp_path / "store"), Context(Store(tmp_path / "store")))
    assert any("have changed since" in said for said in outcome.failures.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fc9.weight": torch.zeros(1)}, "has 'fc9.weight', the model not; did you mean"),
        ({"fc1.weight": torch.zeros(20, 63)}, r"'fc1.weight' is torch.float32 \(20, 63\) in"),
        ({"fc1.bias": torch.full((20,), float("nan"))}, "'fc1.bias' holds NaN or infinity"),
        ({"fc1.bias": torch.zeros(20).double()}, "is torch.float64"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, said, tmp_path):
    weights_in(tmp_path / "a.safetensors", **change)
    with pytest.raises(UsageError, match=said):
        planned(spec_of(tmp_path / "a.safetensors"))


def test_files_that_hold_no_weights(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        planned(spec_of(tmp_path / "none.safetensors"))
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(DataError, match=r"bad\.safetensors"):
        planned(spec_of(tmp_path / "bad.safetensors"))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(DataError, match="holds no tensors by name"):
        planned(spec_of(tmp_path / "list.pt"))
    with pytest.raises(UsageError, match=r"write \{path: FILE\}"):
        spec_from_mapping(TINY | {"model": {"name": "LeNet300", "init": {"path": 3}}})
    with pytest.raises(UsageError, match="option 'init'"):
        spec_from_mapping(TINY | {"model": {"name": "LeNet300", "init": {"file": "x"}}})
