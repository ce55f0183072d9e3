"""What a report shows of stability: what was measured, read from records, and nothing made."""

import dataclasses
import shutil

import pandas as pd
import pytest

from lottery_ticket import load_run, stability
from lottery_ticket.analysis import measured_stability
from lottery_ticket.store import Store

SMALL = ["replicates=2", "prune.levels=1", "train.duration=2ep", "arms=[ticket,random]"]
HOW = {"jobs": 1, "threads": 1, "progress": False}
ASKED = {"levels": [0, 1], "arms": ["ticket", "random"], "points": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the command said of two steps, and the store where it did."""
    store = tmp_path_factory.mktemp("measured") / "store"
    found = stability("quickstart", at=["0it", "1ep"], overrides=SMALL, store=store, **ASKED, **HOW)
    return found, store


@pytest.fixture
def changed(made, tmp_path):
    """What the command said, and a copy of its store to change."""
    shutil.copytree(made[1], tmp_path / "store")
    return made[0], Store(tmp_path / "store")


def lines_of(run):
    return [probe.cell for probe in run.probes if probe.probe == "instability"]


def check_all_is_shown(said, store, read):
    """The law: each of its runs shows what the command said, of every step."""
    for run_id in said.runs.values():
        found = read(store, store.read_run(run_id))
        pd.testing.assert_frame_equal(found.table, said.table)
        assert found.sentences == said.sentences
        assert found.runs == said.runs


def test_each_run_shows_what_the_command_said(made):
    assert list(made[0].runs) == [0, 19]
    check_all_is_shown(made[0], Store(made[1]), measured_stability)


def test_whoever_shows_the_runs_own_step_alone_is_caught(made):
    def own(store, run):
        alone = dataclasses.replace(run, id=f"else-{run.id[-8:]}")  # no other run is called so
        alone = dataclasses.replace(alone, spec={**run.spec, "name": "else"})
        return measured_stability(store, alone)

    with pytest.raises(AssertionError):
        check_all_is_shown(made[0], Store(made[1]), own)


def check_reading(store, run, read):
    """The law: nothing is made, and of cells only lines are read, and a copy for each other run."""
    cells, records = store.cell_names(), {name: store.read_run(name) for name in store.run_ids()}
    seen, get = [], store.get
    store.get = lambda name: seen.append(name) or get(name)
    read(store, run)
    assert store.cell_names() == cells
    assert {name: store.read_run(name) for name in store.run_ids()} == records
    lines = {line for record in records.values() for line in lines_of(record)}
    assert len(seen) <= len(lines) + len(records)


def test_lines_alone_are_read(made):
    store = Store(made[1])
    check_reading(store, store.read_run(made[0].runs[19]), measured_stability)


def test_whoever_reads_all_cells_is_caught(made):
    def everything(store, run):
        for name in store.cell_names():
            store.get(name)

    store = Store(made[1])
    with pytest.raises(AssertionError):
        check_reading(store, store.read_run(made[0].runs[19]), everything)


OTHER_NETS = {
    "recipe": lambda run: {"spec": {**run.spec, "train": {**run.spec["train"], "lr": 0.05}}},
    "pruning": lambda run: {"spec": {**run.spec, "prune": {**run.spec["prune"], "rate": 0.4}}},
    "dense nets": lambda run: {
        "rows": tuple(r for r in run.rows if r.level),
        "others": tuple(c for c in run.others if c not in {r.cell for r in run.rows}),
    },
    "levels": lambda run: {
        "rows": tuple(dataclasses.replace(r, num_kept=r.num_kept - r.level) for r in run.rows)
    },
}
SAME_NETS = {
    "step": lambda run: {},
    "replicates": lambda run: {"spec": {**run.spec, "replicates": 3}},
    "arms": lambda run: {"spec": {**run.spec, "arms": run.spec["arms"][:1]}},
    "depth": lambda run: {"spec": {**run.spec, "prune": {**run.spec["prune"], "levels": 3}}},
}


@pytest.mark.parametrize("change", OTHER_NETS.values(), ids=OTHER_NETS)
def test_runs_of_other_nets_do_not_count(changed, change):
    said, store = changed
    _check_steps(said, store, change, [0])


@pytest.mark.parametrize("change", SAME_NETS.values(), ids=SAME_NETS)
def test_runs_of_the_same_nets_count(changed, change):
    said, store = changed
    _check_steps(said, store, change, [0, 19])


def _check_steps(said, store, change, steps):
    record = store.read_run(said.runs[19])
    store.save_run(dataclasses.replace(record, **change(record)))
    found = measured_stability(store, store.read_run(said.runs[0]))
    assert found is not None
    assert list(found.runs) == steps


def test_what_the_run_has_itself_counts(changed):
    """A run of one replicate without the random masks: n = 1, and their lines beside it."""
    said, store = changed
    run = store.read_run(said.runs[0])
    rows = tuple(row for row in run.rows if row.replicate == 0 and row.arm == "ticket")
    small = dataclasses.replace(run, id="quickstart-00000001", rows=rows, probes=())
    found = measured_stability(store, small)
    assert found is not None
    assert set(found.table["n"]) == {1}
    assert set(found.table["arm"]) == {"ticket", "random"}
    assert list(found.runs) == [0, 19]


def test_what_is_half_measured_is_told_with_its_n(changed):
    said, store = changed
    run = store.read_run(said.runs[19])
    place = {row.cell: row for row in reversed(run.rows)}
    gone = [p.cell for p in run.probes if (r := place[p.training]).level and not r.replicate]
    for cell in gone:
        store.discard(cell)
    found = measured_stability(store, run)
    assert found is not None
    table = found.table.set_index(["step", "arm", "level"])
    assert table.loc[(19, "ticket", 1), "n"] == 1
    assert table.loc[(19, "ticket", 1), "state"] == "not decided"
    assert table.loc[(19, "ticket", 0), "n"] == table.loc[(0, "ticket", 1), "n"] == 2
    page = load_run(run.id, store=store.location).report()
    assert ">Stability</h2>" in page


def test_what_was_not_measured_is_left_out(changed):
    said, store = changed
    run = load_run(said.runs[0], store=store.location)
    assert ">Stability</h2>" in run.report()
    for line in {line for record in store.runs() for line in lines_of(record)}:
        store.discard(line)
    assert measured_stability(store, run.record) is None
    assert "tability" not in run.report().split("<script")[0].split("</style>")[1]
    assert run.report(format="markdown").count("tability") == 0


def test_a_line_measured_twice_counts_with_more_points(changed):
    said, store = changed
    asked = {**ASKED, "levels": [1], "arms": ["ticket"], "points": 4}
    finer = stability(said.runs[0], store=store.location, **asked, **HOW)
    found = measured_stability(store, store.read_run(said.runs[0]))
    assert found is not None
    lines = found.lines[found.lines["step"] == 0]
    own = lines[(lines["arm"] == "ticket") & (lines["level"] == 1)]
    assert sorted(own["cell"]) == sorted(finer.lines["cell"])
    assert len(lines) == 6


def test_tidying_keeps_what_was_measured_until_its_run_is_removed(changed):
    said, store = changed
    assert store.collect_garbage(dry_run=False).num_cells == 0
    check_all_is_shown(said, store, measured_stability)
    store.remove_run(store.read_run(said.runs[0]), dry_run=False)
    store.collect_garbage(dry_run=False)
    found = measured_stability(store, store.read_run(said.runs[19]))
    assert found is not None
    wanted = said.table[said.table["step"] == 19].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.table, wanted)


@pytest.mark.parametrize("duration", ["38it", "2ep"])
def test_a_step_in_epochs_is_known_in_steps(tmp_path, duration):
    overrides = ["replicates=1", "prune.levels=1", f"train.duration={duration}", "arms=[ticket]"]
    said = stability(
        "quickstart", at=["1ep"], levels=[1], points=3, overrides=overrides, store=tmp_path, **HOW
    )
    store = Store(tmp_path)
    found = measured_stability(store, store.read_run(said.runs[19]))
    assert found is not None
    assert list(found.runs) == [19]
