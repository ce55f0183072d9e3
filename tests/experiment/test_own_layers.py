"""Runs of nets with layers that cannot be pruned: refused by name, and run as the message says."""

import re
from pathlib import Path

import pytest
from own_layers import MADE

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
