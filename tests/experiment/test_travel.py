"""The probe `travel`, held against NumPy on weights that the store has and seeds give."""

import shutil

import numpy as np
import pytest
from every_arm import spec_of
from safetensors.torch import load, save_file
from tiny_runs import TINY, planned, run_in

from lottery_ticket.api import load_run
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import PROBES
from lottery_ticket.experiment.objects.probes import Probe
from lottery_ticket.models import build
from lottery_ticket.registry import Entry
from lottery_ticket.spec import spec_from_mapping
from lottery_ticket.store import Store

ARMS = ["ticket", "reinit", "values_permuted", "lr_rewind", "rigl"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("travel")
    store, outcome = run_in(folder, spec_of(ARMS), threads=1)
    assert outcome.is_complete, outcome.failures
    return store, planned(spec_of(ARMS))


def tensors(store, name, file="weights.safetensors"):
    return {n: v.numpy() for n, v in load(store.read(store.get(name), file)).items()}


def initial(store, name):
    """θ₀ of a training that draws it and changes nothing."""
    inputs = store.get(name).inputs
    options = dict(inputs["model"])
    model = build(options.pop("name"), inputs["seeds"]["init"], **options)
    return {n: v.numpy() for n, v in model.state_dict().items()}


def wanted(one, other, kept):
    """Distance, angle, flips over kept weights, flattened."""
    a, b = (np.concatenate([s[n][kept[n]] for n in kept]).astype(float) for s in (one, other))
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return {
        "distance": np.linalg.norm(b - a),
        "angle": np.degrees(np.arccos(cosine)),
        "sign_flips": np.mean(np.sign(a) != np.sign(b)),
    }


def found(frame, arm, level, pair, layer="all"):
    at = frame[(frame["arm"] == arm) & (frame["level"] == level) & (frame["layer"] == layer)]
    at = at[(at["from"] == pair[0]) & (at["to"] == pair[1])]
    return dict(zip(at["metric"], at["value"], strict=True))


def moments(frame, arm, level):
    at = frame[(frame["arm"] == arm) & (frame["level"] == level)]
    return {(one, other) for one, other in zip(at["from"], at["to"], strict=True)}


def check_travel(store, plan):
    """The law: what it says is what the weights say, of all and of each layer."""
    frame = load_run(plan.id, store=store.root).probe("travel", progress=False, jobs=1)
    rows = {(row.arm, row.level): row for row in plan.rows}
    ticket = rows["ticket", 2]
    point = store.get(ticket.cell).inputs["parents"]["weights"]
    mask = {n: v.numpy() for n, v in load_mask(store, ticket.mask).items()}
    ends = {
        "initial": initial(store, ticket.cell),
        "rewind": tensors(store, point),
        "trained": tensors(store, ticket.cell),
    }
    assert moments(frame, "ticket", 2) == {
        ("initial", "rewind"), ("initial", "trained"), ("rewind", "trained"),
    }  # fmt: skip
    for pair in moments(frame, "ticket", 2):
        said = wanted(ends[pair[0]], ends[pair[1]], mask)
        assert found(frame, "ticket", 2, pair) == pytest.approx(said, rel=1e-4, abs=1e-4)
        one = {"fc2.weight": mask["fc2.weight"]}
        said = wanted(ends[pair[0]], ends[pair[1]], one)
        assert found(frame, "ticket", 2, pair, "fc2.weight") == pytest.approx(
            said, rel=1e-4, abs=1e-4
        )


def load_mask(store, name):
    from lottery_ticket.masks import PruningMask

    return PruningMask.from_bytes(store.read(store.get(name), "mask.safetensors"))


def test_travel_is_what_the_weights_say(made):
    check_travel(*made)


def test_moments_of_every_kind_of_training(made):
    store, plan = made
    frame = load_run(plan.id, store=store.root).probe("travel", progress=False, jobs=1)
    whole = {("initial", "rewind"), ("initial", "trained"), ("rewind", "trained")}
    plain = {("initial", "trained")}
    assert moments(frame, "ticket", 0) == whole  # the dense net goes through θ_k
    assert moments(frame, "reinit", 2) == moments(frame, "values_permuted", 1) == plain
    assert moments(frame, "rigl", 2) == plain
    onwards = {("initial", "start"), ("initial", "trained"), ("start", "trained")}
    assert moments(frame, "lr_rewind", 2) == onwards
    rows = {(row.arm, row.level): row for row in plan.rows}
    every = {n: np.ones_like(v, bool) for n, v in tensors(store, rows["ticket", 0].cell).items()}
    weights = {n: every[n] for n in every if n.endswith("weight")}
    dense = wanted(
        initial(store, rows["reinit", 0].cell), tensors(store, rows["reinit", 0].cell), weights
    )
    pair = ("initial", "trained")
    assert found(frame, "reinit", 0, pair) == pytest.approx(dense, rel=1e-4, abs=1e-4)
    # values that were permuted are at other places, but as large in all
    mask = {n: v.numpy() for n, v in load_mask(store, rows["values_permuted", 2].mask).items()}
    unchanged = wanted(
        initial(store, rows["values_permuted", 2].cell),
        tensors(store, rows["values_permuted", 2].cell),
        mask,
    )
    assert found(frame, "values_permuted", 2, pair)["angle"] != pytest.approx(unchanged["angle"])


def test_layers_can_be_left_out(made):
    store, plan = made
    result = load_run(plan.id, store=store.root)
    frame = result.probe("travel", options={"layers": False}, progress=False, jobs=1)
    assert set(frame["layer"]) == {"all"}


TRAVEL = PROBES["travel"].function


def backwards(points, mask):
    return TRAVEL(dict(reversed(points.items())), mask)


def unmasked(points, mask):
    return TRAVEL(points, {name: kept | True for name, kept in mask.items()})


def from_the_rewind_point(points, mask):
    return TRAVEL({n: points.get("rewind", points[n]) for n in points}, mask)


@pytest.mark.parametrize("wrong", [backwards, unmasked, from_the_rewind_point])
def test_other_travel_is_caught(made, wrong, monkeypatch, tmp_path):
    shutil.copytree(made[0].root, tmp_path / "store")
    probe = Entry("travel", Probe(wrong, numerics=99), False, lambda probe: (probe.function,))
    monkeypatch.setitem(PROBES._entries, "travel", probe)
    with pytest.raises(AssertionError):
        check_travel(Store(tmp_path / "store"), made[1])


def test_initial_weights_of_a_file(tmp_path):
    state = {
        n: 1.5 * v
        for n, v in build("LeNet300", 7, hidden=[20, 10], input_size=64).state_dict().items()
    }
    save_file(state, tmp_path / "start.safetensors")
    model = {**TINY["model"], "init": {"path": str(tmp_path / "start.safetensors")}}
    spec = spec_from_mapping(TINY | {"model": model, "arms": ["ticket"], "rewind": "3it"})
    store, _ = run_in(tmp_path / "store", spec, threads=1)
    frame = load_run("last", store=store.root).probe("travel", progress=False, jobs=1)
    dense = next(row for row in planned(spec).rows if not row.level)
    weights = {n: np.ones(v.shape, bool) for n, v in state.items() if n.endswith("weight")}
    begun = {n: v.numpy() for n, v in state.items()}
    said = wanted(begun, tensors(store, dense.cell), weights)
    for pair in (("initial", "trained"), ("initial", "rewind")):
        assert pair in moments(frame, "ticket", 0) & moments(frame, "ticket", 2)
    assert found(frame, "ticket", 0, ("initial", "trained")) == pytest.approx(
        said, rel=1e-4, abs=1e-4
    )


def test_weights_that_were_not_kept_are_named(tmp_path):
    store, _ = run_in(tmp_path, spec_of(["ticket"]), threads=1, keep="needed")
    with pytest.raises(UsageError, match="were not kept"):
        load_run("last", store=store.root).probe("travel", progress=False, jobs=1)
