"""Runs of nets with layers that cannot be pruned: refused by name, and run as the message says."""

import re
from pathlib import Path

import pytest
from own_layers import MADE
from safetensors.torch import load_file

from lottery_ticket.api import run
from lottery_ticket.errors import UsageError

NETS = str(Path(__file__).with_name("own_layers.py"))
PRUNED = 12 * 10


@pytest.fixture
def run_of(tiny, tmp_path):
    def made(name, arms=("ticket",), ignore=()):
        prune = {"rate": 0.5, "levels": 1, "ignore": list(ignore)}
        train = {"duration": "3it"}
        spec = tiny(model={"name": name, "hidden": None}, train=train, prune=prune, arms=list(arms))
        how = {"jobs": 1, "threads": 1, "progress": False}
        return run(spec, store=tmp_path / "store", imports=[NETS], **how)

    return made


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("name", sorted(MADE))
def test_the_remedy_that_is_named_works(run_of, name, tmp_path):
    with pytest.raises(UsageError) as refused:
        run_of(name)
    assert "'1.weight'" in str(refused.value)
    assert "targets" not in str(refused.value)  # a spec has none
    (ignored,) = re.findall(r"prune\.ignore: \['(.*?)'\]", str(refused.value))
    result = run_of(name, arms=["ticket", "snip"], ignore=[ignored])
    rows = result.table
    assert set(rows.num_prunable) == {PRUNED}
    assert set(rows[rows.level == 1].num_kept) == {PRUNED // 2}
    for level, form in ((0, "packed"), (1, "compact"), (1, "sparse")):
        out = result.export(level, format=form, out=tmp_path / form)
        pruning = out.card["pruning"]
        assert (pruning["num_kept"], pruning["num_prunable"]) == (PRUNED // (1 + level), PRUNED)
        assert out.files[0].max_difference < 1e-5


def test_lazy_layers(run_of):
    for ignore in ((), ("1",)):  # a training needs shapes, whatever is pruned
        with pytest.raises(UsageError) as refused:
            run_of("lazy", ignore=ignore)
        assert "'1.weight' has no shape yet (a lazy layer); build it with its sizes" in str(
            refused.value
        )
        assert "or run the model on an example before it is returned" in str(refused.value)
    assert set(run_of("lazy-that-ran").table.num_prunable) == {64 * 12 + PRUNED}


@pytest.mark.parametrize(
    ("name", "ignore", "message"),
    [
        ("raw", [], "nothing to prune: the model has matrix (no weight of a layer that is known"),
        ("raw", [], "build the model of nn.Linear, nn.Conv2d and the like"),
        ("frozen", ["Linear"], "the model has 1.weight (ignored), 3.weight (ignored), 1.bias (ign"),
        ("frozen", ["Linear"], "leave less out with prune.ignore"),
        ("frozen", ["2d"], "prune.ignore: the model has no class, module or parameter '2d'"),
    ],
)
def test_nothing_to_prune(run_of, name, ignore, message):
    with pytest.raises(UsageError) as refused:
        run_of(name, ignore=ignore)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "the-same-again",
            "'1.weight' is one tensor in two models that were built; build all anew",
        ),
        ("of-one-part", "'3.weight' is one tensor in two models"),
        ("of-any-width", "its parameters or their shapes change with the seed"),
        ("of-no-seed", "its initial weights differ under one seed"),
        ("with-state", "the model's state '1._extra_state' is a dict; only dense tensors"),
        ("pruned-by-torch", "'1.weight_orig' is in the form of torch.nn.utils.prune"),
        ("wrapped", "'module.1.weight' is in a wrapper"),
    ],
)
def test_a_model_that_no_cell_could_rely_on_is_refused(run_of, name, message):
    """Before anything trains: else a ticket would start from weights that were trained already."""
    with pytest.raises(UsageError, match=f"model '{name}': {re.escape(message)}"):
        run_of(name)


def test_fresh_weights_that_are_none_are_refused(run_of):
    for arm in ("reinit", "sign_reinit"):
        with pytest.raises(UsageError, match=f"arms: '{arm}' draws fresh weights, and model"):
            run_of("of-one-seed", arms=["ticket", arm])
    assert len(run_of("of-one-seed").table)


def test_tied_weights_are_pruned_as_one(run_of, tmp_path):
    result = run_of("tied")
    assert set(result.table.num_prunable) == {64 * 12 + 12 * 12 + PRUNED}
    exported = result.export(1, format="state_dict", out=tmp_path / "out")
    assert exported.files[0].max_difference == 0
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert weights["3.weight"].equal(weights.get("4.weight", weights["3.weight"]))
    assert 0 < int((weights["3.weight"] == 0).sum()) < 12 * 12
