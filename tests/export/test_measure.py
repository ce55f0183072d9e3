"""What is measured of each form, and what is said of it."""

import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from shipped_nets import Switched, pruned_models, small
from torch import nn

from lottery_ticket.data import Split
from lottery_ticket.errors import UsageError
from lottery_ticket.export import (
    FORMATS,
    Measured,
    PrunedModel,
    count_flops,
    load_sparse,
    measure,
)
from lottery_ticket.export.measuring.timing import in_turns
from lottery_ticket.masks import PruningMask
from lottery_ticket.models import build
from lottery_ticket.plots import draw_forms, forms_figure

QUICK = {"compiled": False, "memory": False}
SHORT = {**QUICK, "seconds": 0.01}


@pytest.fixture(scope="module")
def steps():
    """What `measured` tells while it works."""
    return []


@pytest.fixture(scope="module")
def measured(tiny, steps):
    pruned, forms = tiny.pruned_model(2), ["state_dict", "packed"]
    return measure(pruned, forms=forms, seconds=0.05, on_step=steps.append, **QUICK), pruned


def test_a_row_for_each_form(measured, tiny):
    found, pruned = measured
    assert [row["form"] for row in found.rows] == [
        "dense eager", "dense onnx", "state_dict", "packed",
    ]  # fmt: skip
    assert found.about["threads"] == 1
    assert found.about["dense_is"] == "the net before pruning"
    of_level = {r["level"]: r["test_accuracy"] for r in tiny.rows
                if (r["arm"], r["replicate"]) == ("ticket", 0)}  # fmt: skip
    for row in found.rows:
        level = 0 if row["is_dense"] else 2
        assert row["accuracy"] == pytest.approx(of_level[level])
        assert 0 < row["latency_p50_ms"] <= row["latency_p99_ms"]
        assert row["throughput_64"] > 0 < row["throughput_256"]
        assert row["num_calls_1"] >= 10
        assert row["peak_memory_bytes"] is None
        assert row["num_parameters"] == 64 * 12 + 12 + 12 * 8 + 8 + 8 * 10 + 10
        assert row["flops"] == 2 * (64 * 12 + 12 * 8 + 8 * 10)
    biases = 12 + 8 + 10
    for row in found.rows[2:]:
        assert row["num_nonzero"] <= pruned.mask.num_kept + biases
        assert row["effective_flops"] == 2 * pruned.mask.num_kept
    assert found.rows[0]["effective_flops"] == found.rows[0]["flops"]
    size = {row["form"]: row["file_bytes"] for row in found.rows}
    assert size["packed"] < size["state_dict"]
    assert found.best["size"] == "packed"


def test_what_is_done_is_told(measured, steps):
    forms = ["dense eager", "dense onnx", "state_dict", "packed"]
    assert steps == [
        *(f"writing {form}" for form in forms),
        *(f"timing 4 forms at batch {batch}" for batch in (1, 64, 256)),
        *(f"accuracy of {form}" for form in forms[:-1]),  # the last two have the same weights
    ]


def test_it_prints_as_a_line_for_each_form(measured):
    found, _ = measured
    head, *lines = repr(found).splitlines()
    assert head.startswith("Measured('tiny")
    names = [row["form"] for row in found.rows]
    names += [f"for {goal}: {name}" for goal, name in found.best.items()]
    assert [line.strip(" )").split("  ")[0] for line in lines] == names


def test_it_goes_through_json(measured, tmp_path):
    found, _ = measured
    again = Measured.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert list(found.table["form"]) == [row["form"] for row in found.rows]
    assert [path.name for path in draw_forms(found, tmp_path)] == ["forms.png", "forms.svg"]


def row(form, latency=1.0, throughput=100.0, size=1000, dense=False):
    return {
        "form": form, "is_dense": dense, "latency_p50_ms": latency, "throughput_256": throughput,
        "file_bytes": size, "accuracy": None,
    }  # fmt: skip


DENSE = [row("dense eager", dense=True), row("dense onnx", 0.5, 300.0, dense=True)]


def beside(what, eager, onnx):
    """Ratios to the two dense rows, in words."""
    return f"{eager:.2f} times as {what} as dense eager, {onnx:.2f} times as {what} as dense onnx"


def check_advice(advise):
    """The best by each measure; slower than the fastest dense row is said, faster is not."""
    forms = [row("quick", 0.25, 200.0), row("tiny", 2.0, 100.0, 100), row("many", 0.6, 250.0)]
    found = advise(Measured("net", (*DENSE, *forms), {}, {"dense compiled": "no compiler"}))
    assert found["best"] == {"size": "tiny", "latency": "quick", "throughput": "many"}
    assert found["notes"] == [
        f"for size: tiny, 100 bytes; {beside('small', 10, 10)}",
        f"for latency: quick, 0.250 ms; {beside('fast', 4, 2)}",
        f"for throughput: many, 250 examples/s; {beside('fast', 2.5, 0.83)}",
        "slower at batch 1 than dense onnx (0.500 ms): tiny (2.000 ms), many (0.600 ms)",
        (
            "slower at batch 256 than dense onnx (300 examples/s): quick (200 examples/s), "
            "tiny (100 examples/s), many (250 examples/s)"
        ),
        "dense compiled was not measured: no compiler",
    ]


def test_advice():
    check_advice(Measured.to_dict)


def hides_what_is_slow(found):
    said = found.to_dict()
    return said | {"notes": [note for note in said["notes"] if "slower" not in note]}


def recommends_dense(found):
    rows = tuple(dict(one) | {"is_dense": False} for one in found.rows)
    return found.to_dict() | {"best": Measured("", rows, {}).best}


@pytest.mark.parametrize("mutant", [hides_what_is_slow, recommends_dense])
def test_other_advice_is_caught(mutant):
    with pytest.raises(AssertionError):
        check_advice(mutant)


def test_nothing_to_draw():
    with pytest.raises(UsageError, match="no accuracy was measured"):
        forms_figure(Measured("net", tuple(DENSE), {}))


def brute_force(model, mask):
    """A product and a sum for each weight, wherever it is used."""
    dense = kept = 0

    def count(module, inputs, output):
        nonlocal dense, kept
        places = output.numel() // len(module.weight)
        name = next(n for n, m in model.named_modules() if m is module)
        dense += 2 * places * module.weight.numel()
        kept += 2 * places * int(mask[f"{name}.weight"].sum())

    hooks = [m.register_forward_hook(count) for m in model.modules()
             if isinstance(m, nn.Linear | nn.Conv2d)]  # fmt: skip
    model(torch.rand(3, 1, 6, 6))
    for hook in hooks:
        hook.remove()
    return dense, kept


@settings(max_examples=20, deadline=None)
@given(pruned=pruned_models())
def test_flops(pruned):
    found = count_flops(pruned.model, torch.rand(3, 1, 6, 6), pruned.mask)
    assert found == brute_force(pruned.model, pruned.mask)


def test_flops_of_a_known_net():
    model = build("LeNet300", 0)
    mask = PruningMask(model)
    mask["fc1.weight"][:] = False
    dense, effective = count_flops(model, torch.rand(1, 784), mask)
    assert (dense, effective) == (2 * 266_200, 2 * (266_200 - 235_200))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_forms_are_timed_in_turns(count):
    calls = []
    forms = {str(i): lambda x, i=i: calls.append(i) or time.sleep(0.001) for i in range(count)}
    times = in_turns(forms, torch.rand(1), 0.1)
    timed = calls[3 * count :]
    turns = [i for i, before in zip(timed, [None, *timed], strict=False) if i != before]
    if count > 1:
        assert turns == list(range(count)) * 10
    assert [len(times[str(i)]) for i in range(count)] == [timed.count(i) for i in range(count)]
    assert all(0.001 <= t < 1 for found in times.values() for t in found)


CLASSES = torch.tensor([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize(
    ("outputs", "y"),
    [
        (nn.Linear(5, 1), CLASSES),
        (nn.Sequential(nn.Linear(5, 1), nn.Flatten(0)), CLASSES),
        (nn.Linear(5, 2), torch.rand(6, 2)),
    ],
)
def test_without_a_logit_for_each_class_there_is_no_accuracy(outputs, y):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), Switched(), outputs)
    x = torch.rand(6, 4)
    found = measure(PrunedModel.of(model, x, test=Split(x, y)), forms="packed", **SHORT)
    assert [row["accuracy"] for row in found.rows] == [None, None]
    assert found.about["dense_is"] == "the masked net"


def test_with_one_there_is():
    model = nn.Sequential(nn.Linear(4, 5), Switched(), nn.Linear(5, 2))
    x = torch.rand(6, 4)
    y = model(x).argmax(1)
    y[0] = 1 - y[0]
    found = measure(PrunedModel.of(model, x, test=Split(x, y)), forms="packed", **SHORT)
    assert [row["accuracy"] for row in found.rows] == [5 / 6, 5 / 6]


def test_a_form_that_fails_is_skipped_and_said():
    """Of float64 the quantiser takes nothing; what else there is is measured."""
    x = torch.rand(6, 4).double()
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    found = measure(PrunedModel.of(model, x, calibration=x), **SHORT)
    assert set(found.skipped) == {"int8", "int8-dynamic", "compact-int8"}
    assert {"packed", "onnx", "compact", "sparse"} <= {row["form"] for row in found.rows}
    model.append(Switched())
    with pytest.raises(UsageError, match="wanted float32"):
        measure(PrunedModel.of(model, x, calibration=x), forms=["int8"], **SHORT)


def test_slow_forms_are_called_a_few_times():
    forms = {"slow": lambda x: time.sleep(0.05), "quick": lambda x: None}
    times = in_turns(forms, torch.rand(1), 0.04)
    assert len(times["slow"]) == 3
    assert len(times["quick"]) >= 10


def sparse_net():
    """Two layers with few weights, of which the mask speaks of the first; a dense one.

    The net before has no ONNX, which is not what is looked at.
    """
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 400), nn.Linear(400, 3))
    for layer in (net[0], net[2]):
        layer.weight.data *= torch.rand(400, 400) < 0.03  # no unit is dead
    kept = {"0.weight": net[0].weight != 0, "3.weight": torch.ones(3, 400, dtype=torch.bool)}
    mask, before = PruningMask.from_tensors(kept), nn.Sequential(nn.Linear(400, 3), Switched())
    return PrunedModel.of(net, torch.rand(9, 400), mask=mask, dense=before)


@pytest.fixture(scope="module")
def decided():
    """What `sparse` has decided for a batch size."""
    return []


@pytest.fixture(scope="module")
def measured_sparsely(decided):
    def write(pruned, path, **options):
        FORMATS["sparse"].write(pruned, path, **options)
        decided.append(load_sparse(path))

    with FORMATS.restored():
        FORMATS.add("noted", replace(FORMATS["sparse"], write=write))
        return measure(sparse_net(), forms=["state_dict", "noted"], **SHORT, batch_size=200)


def test_the_batch_size_reaches_the_form_that_is_decided_for_it(measured_sparsely, decided):
    assert [found.batch_size for found in decided] == [200]


def dies_where_memory_is_measured(path, pruned, threads):
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return pruned.outputs


def test_a_process_that_fails_loses_its_memory_alone(forgotten_formats):
    FORMATS.add("deadly", replace(FORMATS["state_dict"], load=dies_where_memory_is_measured))
    pruned = PrunedModel.of(nn.Sequential(nn.Linear(4, 2), Switched()), torch.rand(9, 4))
    found = measure(pruned, forms="deadly", **{**SHORT, "memory": True})
    memory = {row["form"]: row["peak_memory_bytes"] for row in found.rows}
    assert memory["deadly"] is None
    assert "memory of dense eager" not in found.skipped
    assert found.skipped["memory of deadly"].startswith("TerminatedWorkerError: ")


def check_executed(found, name):
    """FLOPs as executed: where weights are kept alone, those with the mask's kept ones."""
    rows = {row["form"]: row for row in found.rows}
    num_kept = sparse_net().mask.num_kept
    assert rows["state_dict"]["flops"] == 2 * 400 * (400 + 400 + 3)
    assert rows["state_dict"]["effective_flops"] == 2 * (num_kept + 400 * 400)
    assert rows[name]["flops"] == rows["state_dict"]["effective_flops"]


def test_what_is_executed_is_counted(measured_sparsely, decided):
    assert decided[0].layers["0"] == decided[0].layers["2"] == "sparse"
    check_executed(measured_sparsely, "noted")


def test_counting_what_is_not_executed_is_caught(forgotten_formats):
    FORMATS.add("wrong", replace(FORMATS["sparse"], skips=lambda facts: ()))
    found = measure(sparse_net(), forms=["state_dict", "wrong"], **SHORT)
    with pytest.raises(AssertionError):
        check_executed(found, "wrong")


@pytest.mark.slow
def test_everything(tiny):
    """All formats, torch.compile too, on the net's own test set."""
    found = measure(tiny.pruned_model(2), seconds=0.2)
    forms = [row["form"] for row in found.rows]
    assert forms[:2] == ["dense eager", "dense onnx"]
    assert ("dense compiled" in forms) != ("dense compiled" in found.skipped)
    assert {"state_dict", "packed", "ticket", "pt2", "onnx", "int8", "int8-dynamic"} < set(forms)
    masked = found.rows[forms.index("state_dict")]["accuracy"]
    for form in found.rows:
        assert form["is_dense"] or form["accuracy"] == pytest.approx(masked, abs=0.02)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
def test_peak_memory_grows_with_the_model():
    """Four million weights are 16 MB, of which a thin model has none."""
    found = []
    for width in (10, 2000):
        model = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width))
        pruned = PrunedModel.of(model, torch.rand(2, 10))
        thin = measure(pruned, forms=["onnx"], seconds=0.02, compiled=False)
        found.append(thin.rows[-1]["peak_memory_bytes"])
    assert 16e6 < found[1] - found[0] < 160e6


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells")
def test_the_runtime_is_not_in_the_memory_of_a_form():
    """Of a thin net all forms take about as little: torch.export and numba alone take 90 MB."""
    for row in measure(small(), seconds=0.02, compiled=False).rows:
        assert row["peak_memory_bytes"] < 30e6, row["form"]


@pytest.mark.slow
def test_without_a_compiler(tiny):
    torch.compiler.reset()
    # not monkeypatch: what it puts back, torch takes for a setting that is gone
    settings = {"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True}
    with torch._inductor.config.patch(settings):
        found = measure(tiny.pruned_model(2), forms=["packed"], seconds=0.05, memory=False)
    assert "dense compiled" in found.skipped
    assert any("dense compiled was not measured" in note for note in found.notes)
