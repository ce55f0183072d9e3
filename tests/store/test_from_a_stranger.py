"""A store from a stranger: whatever its sealed records say, nothing outside it is touched."""

import contextlib
import json
import os
from pathlib import Path

import pytest
from small_cells import SPEC, WEIGHTS, cell_folder, commit, everything, name_of, record_of, run_of

from lottery_ticket.errors import DamagedError, StoreError
from lottery_ticket.store import CellRecord, RunRecord, Store
from lottery_ticket.store._files import seal_of, sealed_json, unsealed_json
from lottery_ticket.store.local import paths as _paths

CELL = record_of(name_of(1), {WEIGHTS: b"w"}).to_bytes()
RUN = run_of([1]).to_bytes()
NESTED: object = []
for _ in range(50):
    NESTED = [NESTED]


def changed(data: bytes, **changes: object) -> bytes:
    """A record with other values, sealed again."""
    return sealed_json({**unsealed_json(data), **changes})


ODD_NAMES = [
    "../../precious", "/etc", "..", ".", "", "a/b", "a\\b", "ab" * 31, "ab" * 33, "AB" * 32,
    "ab" * 31 + "g0", "ab" * 32 + "\n", "ab" * 31 + "a\0", "é" * 64, 5, None, True, ["ab" * 32], {},
]  # fmt: skip


def row(**changes: object) -> dict[str, object]:
    values = {
        "arm": "ticket", "level": 0, "replicate": 0, "draw": 0, "num_kept": 1, "cell": name_of(1),
        "mask": None,
    }  # fmt: skip
    return {"rows": [list({**values, **changes}.values())]}


ODD_RUNS = [
    *(row(cell=name) for name in ODD_NAMES),
    *(row(mask=name) for name in ODD_NAMES if name is not None),
    *({"others": [name]} for name in ODD_NAMES),
    *({"id": name} for name in ("../x", "a/b", "", ".x", "a\0", "x" * 300, 5, None)),
    *(row(**{key: value}) for key in ("level", "draw", "num_kept", "replicate")
      for value in (-1, 0.5, "1", None, True, 10**400, [])),
    *(row(arm=value) for value in (None, 5, "\x1b[2J", "a\nb", [])),
    *({"rows": value} for value in (5, [5], [[]], [[1] * 8], {}, None)),
    *({"num_prunable": value} for value in (0, -1, "9", 1.5, True, None)),
    *({"created": value} for value in (-1, 1e300, "now", None, [])),
    *({"layers": value} for value in (5, [5], [["a", "b"]], [["a", [0]]], [["a", [1.5]]],
      [[[], 1]])),
    *({"margin": value} for value in ("1", -1, True, [])),
    *({"claim": value} for value in (
      5, [], {"level": 1}, {"level": 0, "num_trained": 0}, {"level": 1, "num_trained": -1},
      {"level": "1", "num_trained": 0}, {"level": 1, "num_trained": 0, "x": 0},
      {"level": 1, "num_trained": 0, "margin": "1"}, {"level": 99, "num_trained": 0})),
    *({"model": value} for value in (5, ["x"], "\x1b]0;x\x07")),
    *({"spec": value} for value in (5, [], {}, {**SPEC, "name": "../x"}, {**SPEC, "data": "digits"},
      {**SPEC, "arms": 5}, {**SPEC, "arms": [5]}, {**SPEC, "prune": {}}, {**SPEC, "model": {}},
      {**SPEC, "replicates": "3"}, {**SPEC, "train": 5}, {**SPEC, "x": NESTED},
      {**SPEC, "x": "\ud800"})),
    *({"spec": {**SPEC, "train": {**SPEC["train"], key: value}}} for key, value in (
      ("lr", "0.1"), ("lr", None), ("optimizer", 5), ("duration", "soon"), ("duration", 5))),
    *({"spec": {**SPEC, key: value}} for key, value in (
      ("rewind", "never"), ("rewind", None), ("source", 5), ("source", {"data": 5}),
      ("source", {"model": {}}), ("arms", [{"name": "ticket"}]),
      ("arms", [{"name": "x", "draws": -1}]))),
    {"rows": []},
    row(level=2**40),
    *({"layers": value} for value in ([], [["a", []]], [["a", [99]]], [["a", [100]], ["a", [1]]],
      [["a", [2**62] * 400]], [["a", [1] * 100 + [100]]])),
    {"num_prunable": 2**40},
    {"stranger": 1},
]  # fmt: skip

ODD_CELLS = [
    *({"name": name} for name in ODD_NAMES),
    *({"parents": {"mask": name}} for name in ODD_NAMES),
    *({"files": {name: {"sha256": "ab" * 32, "bytes": 1}}} for name in (
        "../x", "/etc/passwd", "a/b", "a\\b", "..", ".", "", ".hidden", "a\0b", "a\n", "x" * 200,
        "record.json", "execution.json", "RECORD.JSON", "nul", "con.txt", "COM1", "x.")),
    *({"files": {"w": value}} for value in (5, None, [], {}, {"sha256": "ab" * 32},
      {"sha256": "ab" * 32, "bytes": -1}, {"sha256": "ab" * 32, "bytes": "1"},
      {"sha256": "x", "bytes": 1}, {"sha256": "ab" * 32, "bytes": 1, "more": 1})),
    *({field: value} for field in ("files", "parents", "inputs", "results")
      for value in (5, [], None, "x")),
    *({"results": {key: value}} for key in ("num_steps", "num_test", "num_kept", "test_loss",
      "test_accuracy", "history", "layers", "initial_sha256", "is_still_falling")
      for value in ("x", -1.5 if key.startswith("num") else "y", [5], {"a": "b"})),
    {"results": {"history": [{"step": [1]}]}},
    *({"inputs": {key: value}} for key, value in (
      ("model", 5), ("model", {}), ("model", {"name": 5}), ("data", []), ("data", {"name": "x"}),
      ("seeds", {"init": "x"}), ("seeds", [1]), ("parents", {"mask": "../x"}), ("start_step", -1))),
    {"stranger": 1},
]  # fmt: skip


@pytest.mark.parametrize("changes", ODD_RUNS, ids=range(len(ODD_RUNS)))
def test_an_odd_run_record_is_refused(changes):
    with pytest.raises(DamagedError, match=r"^here: damaged run record \(") as error:
        RunRecord.from_bytes(changed(RUN, **changes), "here")
    assert len(str(error.value)) < 400
    assert str(error.value).isprintable()


@pytest.mark.parametrize("changes", ODD_CELLS, ids=range(len(ODD_CELLS)))
def test_an_odd_cell_record_is_refused(changes):
    with pytest.raises(DamagedError, match=r"^here: damaged: ") as error:
        CellRecord.from_bytes(changed(CELL, **changes), "here")
    assert len(str(error.value)) < 400


BOMBS = [b"5", b"[]", b"null", b'"x"', b"NaN", b"{" * 100_000, b"[" * 100_000, b"\xff\xfe",
         b'{"a": 1e999}', b'{"a": ' + b"1" * 10_000 + b"}", b"", b'{"not_kept": 5}']  # fmt: skip


@pytest.mark.parametrize("body", BOMBS, ids=range(len(BOMBS)))
@pytest.mark.parametrize("is_sealed", [False, True])
def test_odd_json_is_damage_wherever_it_is_read(body, is_sealed, store):
    if is_sealed:  # with a checksum that is right
        body = seal_of(b"{" + body[1:]) + body[1:]
    name = commit(store, 1)
    store.save_run(run_of([1]))
    store.cells()
    folder = cell_folder(store, name)
    for path, read in (
        (folder / "record.json", lambda: store.get(name)),
        (folder / "execution.json", lambda: store.execution(name)),
        (store.root / "runs" / "small-00000000.json", store.runs),
    ):
        before = path.read_bytes()
        path.write_bytes(body)
        with pytest.raises(DamagedError, match=path.name.replace(".", r"\.")):
            read()
        assert set(store.cells()) == ({name} if "runs" in str(path) else set())
        path.write_bytes(before)
    (store.root / "index.sqlite").write_bytes(body)
    assert set(store.cells()) == {name}


def precious(store: Store) -> Path:
    """Someone's work, beside the store."""
    folder = store.root.parent / "precious"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    (folder / "record.json").write_bytes(CELL)
    return folder


OUTSIDE = ["../../precious", "../../../precious", "..", "."]


def check_nothing_outside_is_removed(store: Store) -> None:
    """The law, of run records that name things outside."""
    outside = precious(store)
    before = everything(outside)
    path = store.root / "runs" / "small-00000000.json"
    for name in (*OUTSIDE, str(outside), f"../{store.root.name}/../precious"):
        for changes in (row(cell=name), row(mask=name), {"others": [name]}):
            path.write_bytes(changed(RUN, **changes))
            for remove in (lambda: store.remove_run(store.run("last")), store.collect_garbage):
                with contextlib.suppress(StoreError):
                    remove()
                assert everything(outside) == before


def test_no_run_record_makes_anything_go(store):
    commit(store, 1)
    check_nothing_outside_is_removed(store)
    assert store.cell_names() == {name_of(1)}
    assert store.has_run("small-00000000")


def test_the_places_themselves_look_at_names(store, monkeypatch):
    """Even where a record was not: one door is not enough."""
    monkeypatch.setattr(RunRecord, "_check", lambda run: None)
    check_nothing_outside_is_removed(store)


def test_names_that_nobody_looks_at_are_caught(store, monkeypatch):
    monkeypatch.setattr(RunRecord, "_check", lambda run: None)
    monkeypatch.setattr(_paths, "_check_name", lambda name: None)
    with pytest.raises(AssertionError):
        check_nothing_outside_is_removed(store)


@pytest.mark.parametrize("place", ["cells", "work", "runs", "format.json", "index.sqlite"])
def test_a_store_whose_own_places_are_links_is_refused(place, store):
    outside = precious(store)
    commit(store, 1)
    store.cells()
    path = store.root / place
    moved = path.rename(outside / place)
    path.symlink_to(moved)
    with pytest.raises(StoreError, match=f"{place}: a link, which a store does not follow"):
        Store(store.root)


def test_a_store_that_is_linked_as_a_whole_is_a_store(store, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(store.root)
    linked = Store(link)
    linked.open_for_writing()
    name = commit(linked, 1)
    linked.save_run(run_of([1]))
    assert set(store.cells()) == {name} == set(linked.cells())
    assert linked.remove_run(linked.run("last")).num_cells == 1


def link_shard(store: Store, outside: Path) -> str:
    name = commit(store, 1)
    shard = cell_folder(store, name).parent
    shard.rename(outside / shard.name)
    shard.symlink_to(outside / shard.name)
    return name


def link_cell(store: Store, outside: Path) -> str:
    name = commit(store, 1)
    folder = cell_folder(store, name)
    folder.rename(outside / name)
    folder.symlink_to(outside / name)
    return name


def link_file(store: Store, outside: Path) -> str:
    name = commit(store, 1)
    path = cell_folder(store, name) / WEIGHTS
    path.rename(outside / "weights")
    path.symlink_to(outside / "weights")
    return name


@pytest.mark.parametrize("link", [link_shard, link_cell, link_file])
def test_links_below_are_followed_nowhere(link, store):
    outside = precious(store)
    name = link(store, outside)
    before = everything(outside)
    with pytest.raises(DamagedError, match="a link"):
        store.check(name)
    if link is link_shard:
        for look in (store.cell_names, store.collect_garbage, store.cells):
            with pytest.raises(StoreError, match="a link"):
                look()
        claim = store.claim(name)
        with pytest.raises(StoreError, match="a link"):
            store.commit(claim, record_of(name, {}), {}, {})
        with pytest.raises(StoreError, match="a link"):
            store.discard(name)
    else:
        assert store.cell_names() == {name}
        assert store.collect_garbage().num_cells == 1
        assert store.cell_names() == set()
    assert everything(outside) == before


@pytest.mark.parametrize("what", ["folder", "lock", "stranger"])
def test_links_in_work_are_followed_nowhere(what, store):
    outside = precious(store)
    before = everything(outside)
    work = store.root / "work" / name_of(1)
    if what == "folder":
        work.symlink_to(outside)
    elif what == "lock":
        work.mkdir()
        (work / "claim.lock").symlink_to(outside / "thesis.tex")
    else:
        (store.root / "work" / f"discarded-{name_of(1)}-1a").symlink_to(outside)
        store.collect_garbage()
    if what != "stranger":
        with pytest.raises(StoreError, match="a link"):
            store.claim(name_of(1))
    assert everything(outside) == before


def test_a_run_record_that_is_a_link_is_refused(store):
    outside = precious(store)
    (outside / "run.json").write_bytes(RUN)
    before = everything(outside)
    (store.root / "runs" / "small-00000000.json").symlink_to(outside / "run.json")
    for use in (store.runs, lambda: store.run("last"), store.collect_garbage):
        with pytest.raises(DamagedError, match="a link"):
            use()
    with pytest.raises(Exception, match="a link is there, which is not replaced"):
        store.save_run(run_of([1]))
    assert everything(outside) == before


def test_a_run_record_under_another_name_is_damaged(store):
    path = store.root / "runs" / "small-00000000.json"
    store.save_run(run_of([1]))
    path.rename(path.with_name("other.json"))
    for use in (store.runs, lambda: store.run("other"), store.collect_garbage):
        with pytest.raises(
            DamagedError, match=r"other\.json: damaged run record \(it is of small-"
        ):
            use()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("file_name", ["record.json", "execution.json", WEIGHTS])
def test_a_pipe_is_not_waited_for(file_name, store):
    name = commit(store, 1)
    path = cell_folder(store, name) / file_name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DamagedError, match="not a file"):
        store.check(name)


def test_a_file_that_claims_to_be_huge_is_not_read(store):
    name = commit(store, 1)
    for file_name in (WEIGHTS, "record.json", "execution.json"):
        path = cell_folder(store, name) / file_name
        before = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(1 << 40)
        with pytest.raises(DamagedError, match=r"1,099,511,627,776 bytes"):
            store.check(name)
        path.write_bytes(before)


def test_names_from_a_command_line_are_looked_at(store):
    for run_id in ("../x", "a/b", "", "/etc/passwd", "x\0"):
        with pytest.raises(StoreError, match="run: got"):
            store.read_run(run_id)
    for name in ODD_NAMES[:-5]:
        for use in (store.get, store.claim, store.discard, store.execution, store.work_folder):
            with pytest.raises(StoreError, match="cell: got"):
                use(name)


def test_the_json_of_a_record_is_as_it_was():
    """Readers became strict, writers did not change."""
    assert json.loads(RUN)["rows"] == [["ticket", 0, 0, 0, 100, name_of(1), None]]
