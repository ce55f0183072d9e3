"""Copying runs between stores: the same bytes, parents first, and nothing there is replaced."""

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import wrong_copies
from copied_runs import Grown, family, grow, told
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cells import WEIGHTS, cell_folder, everything, name_of, run_of
from store_kinds import KINDS

from lottery_ticket.errors import DamagedError, StoreError, UsageError
from lottery_ticket.store import (
    DamagedLabelWarning,
    ProbeRow,
    RunClaim,
    RunEdit,
    Store,
    copy_runs,
    plan_copy,
)

HERE = Path(__file__).parent
PAIRS = list(itertools.product(KINDS.values(), repeat=2))
TRIPLES = list(itertools.product(KINDS.values(), repeat=3))


@pytest.fixture(params=PAIRS, ids=lambda pair: "-".join(each.__name__ for each in pair))
def pair(request, tmp_path) -> tuple[Store, Store]:
    """A source and a target, new."""
    opens_source, opens_target = request.param
    return opens_source(tmp_path, "source"), opens_target(tmp_path, "target")


@pytest.fixture
def folders(tmp_path) -> tuple[Store, Store]:
    """The same of folders, in which a test damages files."""
    return Store(tmp_path / "source"), Store(tmp_path / "target")


def copy(source, target, *references, how=copy_runs):
    return how(plan_copy(source, target, references))


# the same bytes

CELLS = st.integers(1, 6).flatmap(
    lambda count: st.tuples(
        *(
            st.builds(
                Grown,
                st.just(number),
                st.sets(st.integers(0, number - 1)).map(sorted).map(tuple)
                if number
                else st.just(()),
                st.binary(max_size=20),
                st.booleans(),
            )
            for number in range(count)
        )
    )
)


def whole_runs(cells):
    """Runs of some of the cells, each with all that its cells are made from."""
    parents = {cell.number: cell.parents for cell in cells}

    def with_parents(numbers):
        found = set(numbers)
        for number in sorted(parents, reverse=True):
            found |= set(parents[number]) if number in found else set()
        return sorted(found)

    some = st.sets(st.sampled_from(sorted(parents)), min_size=1).map(with_parents)
    return st.tuples(st.just(cells), st.lists(some, min_size=1, max_size=3))


STORIES = CELLS.flatmap(whole_runs)


def check_there_and_back(story, opens, how=copy_runs):
    """Pushed and pulled, runs and their cells are the same to the byte, and how they ran; copied
    again, nothing is written."""
    cells, runs = story
    with tempfile.TemporaryDirectory() as folder:
        source, middle, end = (kind(Path(folder), str(i)) for i, kind in enumerate(opens))
        grow(source, cells)
        for number, numbers in enumerate(runs):
            source.save_run(run_of(numbers, f"small-{number}"))
        orphans = source.cell_names() - set().union(*(run.cells() for run in source.runs()))
        wanted = {key: value for key, value in told(source).items() if key not in orphans}
        copy(source, middle, how=how)
        copy(middle, end, how=how)
        assert told(middle) == told(end) == wanted
        again = copy(source, middle)
        assert (again.num_copied, again.num_present) == (0, len(middle.cell_names()))
        assert told(middle) == wanted
        assert middle.work_names() == set()


@pytest.mark.parametrize("opens", TRIPLES)
@settings(max_examples=40)
@given(story=STORIES)
def test_what_went_there_and_back_is_the_same(story, opens):
    check_there_and_back(story, opens)


def test_forgetting_how_it_ran_is_caught():
    story = (Grown(0),), [[0]]
    opens = [KINDS["folder"]] * 3
    check_there_and_back(story, opens)
    with pytest.raises(AssertionError):
        check_there_and_back(story, opens, wrong_copies.forgets_how_it_ran)


def test_a_run_alone_can_be_copied(pair):
    source, target = pair
    grow(source, [Grown(0), Grown(1, (0,)), Grown(2)])
    source.save_run(run_of([0, 1], "small-1"))
    source.save_run(run_of([2], "small-2"))
    would = plan_copy(source, target, ["small-1"]).foreseen()
    assert target.cell_names() == set()
    did = copy(source, target, "small-1")
    assert replace(would, seconds=did.seconds) == did
    assert (did.runs, did.num_copied, did.num_bytes) == (["small-1"], 2, 8)
    assert target.run_ids() == ["small-1"]
    assert target.cell_names() == {name_of(0), name_of(1)}


# killed at any moment

KILLED = """
import os, signal, sys
from pathlib import Path
import wrong_copies
from lottery_ticket.store import Store, copy_runs, plan_copy

root, how = Path(sys.argv[1]), getattr(wrong_copies, sys.argv[2], copy_runs)
now = lambda: None
changes = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
writes = os.O_WRONLY | os.O_RDWR

def watch(event, args):
    if event in changes or (event == "open" and isinstance(args[2], int) and args[2] & writes):
        now()

sys.addaudithook(watch)

def dies_at(moment):
    for count in range(1, moment):
        yield
    os.kill(os.getpid(), signal.SIGKILL)

for moment in range(1, 1000):
    pid = os.fork()
    if not pid:
        now = dies_at(moment).__next__
        how(plan_copy(Store(root / "source"), Store(root / str(moment))))
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        break
print(moment)
"""


def check_killed_copies(folder, how="copy_runs"):
    """What is there at any moment is complete, and the same copy goes on to the same end."""
    source = Store(folder / "source")
    family(source)
    wanted = told(source)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, folder, how],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
    )
    last = getattr(wrong_copies, how, copy_runs)
    counts = []
    for moment in range(1, int(done.stdout)):
        target = Store(folder / str(moment))
        if (folder / str(moment)).exists():
            check_is_complete(target)
            counts.append(len(target.cell_names()))
        copied = copy(source, target, how=last)
        assert told(target) == wanted
        assert copied.num_present == (counts or [0])[-1]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3, 4}


def check_is_complete(store):
    names = store.cell_names()
    for name in names:
        record = store.check(name)
        assert set(record.inputs["parents"].values()) <= names
    for run in store.runs():
        assert run.cells() <= names


def test_a_copy_killed_at_any_moment_goes_on(tmp_path):
    check_killed_copies(tmp_path)


@pytest.mark.parametrize("how", ["children_first", "the_run_first", "never_again"])
def test_copies_that_leave_halves_are_caught(how, tmp_path):
    with pytest.raises(AssertionError):
        check_killed_copies(tmp_path, how)


# what is damaged


def damage(store, number):
    path = cell_folder(store, name_of(number)) / WEIGHTS
    path.write_bytes(path.read_bytes()[::-1] + b"!")


def check_damage_stays(source, target, how=copy_runs):
    """A cell that is not as it was written is named and not copied; all others are."""
    family(source)
    wanted = told(source)
    damage(source, 1)
    copied = copy(source, target, how=how)
    assert [name_of(1) in message for message in copied.damaged] == [True]
    assert copied.num_copied == 3
    del wanted[name_of(1)]
    assert told(target) == wanted


def test_damage_is_named_and_not_copied(folders):
    check_damage_stays(*folders)


def test_copying_before_the_files_are_checked_is_caught(folders):
    with pytest.raises((AssertionError, DamagedError)):
        check_damage_stays(*folders, how=wrong_copies.reads_without_checksums)


def test_a_damaged_record_is_named_too(folders):
    source, target = folders
    family(source)
    (cell_folder(source, name_of(3)) / "record.json").write_bytes(b"{}")
    (message,) = copy(source, target).damaged
    assert name_of(3) in message
    assert target.cell_names() == {name_of(number) for number in range(3)}


def test_a_damaged_run_is_named_and_the_others_are_copied(folders):
    source, target = folders
    family(source)
    source.save_run(run_of([3], "small-3"))
    (source.root / "runs" / "small-00000000.json").write_bytes(b"{")
    (message,) = copy(source, target).damaged
    assert "small-00000000.json: damaged" in message
    assert target.run_ids() == ["small-3"]
    with pytest.raises(DamagedError):
        copy(source, target, "small-00000000")


def test_what_is_damaged_in_the_target_is_mended(folders):
    source, target = folders
    family(source)
    copy(source, target)
    (cell_folder(target, name_of(1)) / "record.json").write_bytes(b"{}")
    (target.root / "runs" / "small-00000000.json").write_bytes(b"{")
    assert copy(source, target).num_copied == 1
    assert told(target) == told(source)


# what differs


def check_what_differs_stays(source, target, how=copy_runs):
    """What the target has stays, and what it takes was made from what it has."""
    family(source)
    grow(target, [Grown(0, (), b"other")], host="elsewhere")
    before = told(target)
    copied = copy(source, target, how=how)
    after = told(target)
    assert after.items() >= before.items()
    assert after.keys() == {name_of(0), name_of(3), "small-00000000"}
    assert (copied.num_copied, copied.differing) == (1, [name_of(0)])
    assert copied.unfit == [name_of(1), name_of(2)]


def test_what_differs_stays(pair):
    check_what_differs_stays(*pair)


@pytest.mark.parametrize("how", ["replaces_what_differs", "takes_what_hangs_on_others"])
def test_mixing_what_differs_is_caught(how, pair):
    with pytest.raises(AssertionError):
        check_what_differs_stays(*pair, how=getattr(wrong_copies, how))


@settings(max_examples=50)
@given(st.sets(st.integers(0, 3)), st.sets(st.integers(0, 3)))
def test_nobody_would_take_a_copied_cell_for_stale(own, lost):
    """Wherever the target has made some itself, and the source has lost some."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = (KINDS["folder"](Path(folder), name) for name in ("source", "target"))
        family(source)
        family(target, b"other")
        for number in range(4):
            if number not in own:
                target.discard(name_of(number))
            if number in lost:
                source.discard(name_of(number))
        before = told(target)
        copied = copy(source, target)
        assert told(target).items() >= before.items()
        records = {name: target.check(name) for name in target.cell_names()}
        for name in records.keys() - before.keys():
            record = records[name]
            for role, parent in record.inputs["parents"].items():
                if parent in records:
                    assert record.parents[role] == records[parent].content
        lists = (copied.differing, copied.unfit, copied.busy)
        count = copied.num_copied + copied.num_present + sum(map(len, lists))
        assert count == len(source.cell_names())


def test_what_is_being_made_is_left_alone_with_all_that_hangs_on_it(pair):
    source, target = pair
    family(source)
    target.open_for_writing()
    claim = target.claim(name_of(1))
    copied = copy(source, target)
    assert copied.busy == [name_of(1), name_of(2)]
    assert (copied.num_copied, copied.unfit) == (2, [])
    claim.release()
    assert copy(source, target).num_copied == 2
    assert told(target) == told(source)


def test_nobody_removes_what_is_being_copied(pair):
    source, target = pair
    family(source)
    refused = []

    def removes(_):
        for remove in (lambda: source.remove_run(run_of(range(4))), target.collect_garbage):
            with pytest.raises((UsageError, StoreError), match="being run"):
                remove()
            refused.append(remove)

    copy_runs(plan_copy(source, target), watch=removes)
    assert len(refused) == 8
    assert told(target) == told(source)


# records of runs


def claimed(level, num_trained):
    return RunClaim(level, num_trained, None)


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"),
    [
        (None, None, None),
        (claimed(2, 0), None, claimed(2, 0)),
        (None, claimed(2, 0), claimed(2, 3)),  # three trainings below dense were seen here
        (None, claimed(2, 5), claimed(2, 5)),
        (claimed(2, 0), claimed(2, 3), claimed(2, 0)),
        (claimed(2, 3), claimed(2, 0), claimed(2, 3)),
        (claimed(1, 0), claimed(2, 0), claimed(1, 0)),
    ],
)
def test_what_was_claimed_first_stays(ours, theirs, wanted, pair):
    source, target = pair
    for store, claim in zip(pair, (ours, theirs)[::-1], strict=True):
        family(store)
        store.save_run(replace(store.run("last"), claim=claim))
    notes = [copy(source, target).notes for _ in range(2)]
    assert target.run("last").claim == wanted
    assert notes[0] == notes[1]
    assert bool(notes[0]) == (None not in (ours, theirs) and ours != theirs) or wanted != theirs


def test_a_claim_that_comes_with_its_run_is_as_it_was_stated(pair):
    source, target = pair
    family(source)
    source.save_run(replace(source.run("last"), claim=claimed(2, 0)))
    copy(source, target)
    assert target.run("last").claim == claimed(2, 0)


def test_a_claim_that_was_stated_before_the_cells_came_stays_so_when_the_copy_is_stopped(pair):
    source, target = pair
    grow(source, [Grown(0, (), b"first")])
    source.save_run(run_of(range(4)))
    copy(source, target)
    source.discard(name_of(0))
    family(source)
    source.save_run(replace(source.run("last"), claim=claimed(2, 0)))

    def stops(_):
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            copy_runs(plan_copy(source, target), watch=stops)
    copy(source, target)
    assert target.run("last").claim == claimed(2, 0)


def test_measurements_are_those_of_both(pair):
    probes = [ProbeRow(name_of(number), "flatness", name_of(0)) for number in (5, 6, 7)]
    for store, numbers in zip(pair, ((5, 6), (6, 7)), strict=True):
        family(store)
        grow(store, [Grown(number) for number in numbers])
        own = tuple(probe for probe in probes if probe.cell in map(name_of, numbers))
        store.save_run(replace(store.run("last"), probes=own))
    source, target = pair
    assert copy(source, target).num_copied == 1
    assert set(target.run("last").probes) == set(probes)
    assert copy(target, source).num_copied == 1
    assert set(source.run("last").probes) == set(probes)


@pytest.mark.parametrize("is_source_longer", [True, False])
def test_of_a_search_the_record_that_went_on_is_taken(is_source_longer, pair):
    first, second = "ab" * 16, "cd" * 16
    short, long = pair[::-1] if is_source_longer else pair
    grow(short, [Grown(0), Grown(1)])
    short.save_run(run_of([0, 1], searches=(first,)))
    grow(long, [Grown(0), Grown(1), Grown(2)])
    longer = run_of([0, 1, 2], searches=(first, second))
    long.save_run(longer)
    source, target = pair
    copy(source, target)
    assert target.run("last") == longer
    assert target.cell_names() == long.cell_names()


# what cannot be


def test_one_store_is_not_copied_onto_itself(tmp_path):
    store = Store(tmp_path / "store")
    family(store)
    (tmp_path / "link").symlink_to(tmp_path / "store")
    for other in (tmp_path / "store", tmp_path / "link"):
        with pytest.raises(UsageError, match="the same store"):
            plan_copy(store, Store(other))


def test_there_must_be_runs(pair):
    source, target = pair
    with pytest.raises(UsageError, match="no runs here"):
        plan_copy(source, target)
    family(source)
    with pytest.raises(UsageError, match="no run 'big'"):
        plan_copy(source, target, ["big"])
    assert not target.cell_names()


def test_cells_that_are_made_from_one_another_are_refused(pair):
    source, target = pair
    grow(source, [Grown(0), Grown(1, (0,))])
    source.save_run(run_of([0, 1]))
    source.discard(name_of(0))
    record = source.get(name_of(1))
    claim = source.claim(name_of(0))
    inputs = {"parents": {"weights": name_of(1)}}
    looped = replace(record, name=name_of(0), inputs=inputs, parents={}, files={})
    assert source.commit(claim, looped, {}, {})
    with pytest.raises(DamagedError, match="made from one another"):
        plan_copy(source, target)


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with contextlib.suppress(FileNotFoundError):
        line = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=300", "tmpfs", str(folder)]
        if subprocess.run(line, capture_output=True, check=False).returncode == 0:
            yield folder
            subprocess.run(["umount", "-l", folder], check=True)
            return
    pytest.skip("may not mount a disk here")


def remount(disk, how):
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def test_a_source_that_cannot_be_written_can_be_copied(disk, tmp_path):
    family(Store(disk / "source"))
    remount(disk, "ro")
    before = everything(disk)
    target = Store(tmp_path / "target")
    assert copy(Store(disk / "source"), target).num_copied == 4
    assert told(target) == told(Store(disk / "source"))
    assert everything(disk) == before


def test_a_target_that_cannot_be_written_is_said_before_anything(disk, tmp_path):
    source = Store(tmp_path / "source")
    family(source)
    remount(disk, "ro")
    with pytest.raises(StoreError, match="cannot be written"):
        copy(source, Store(disk / "target"))


def test_a_full_disk_loses_nothing(disk, tmp_path):
    source, target = Store(tmp_path / "source"), Store(disk / "target")
    grow(source, [Grown(0, (), bytes(300_000)), Grown(1, (0,), bytes(600_000))])
    source.save_run(run_of([0, 1]))
    (disk / "ballast").write_bytes(bytes(300_000))
    with pytest.raises(StoreError, match="no space left"):
        copy(source, target)
    assert target.cell_names() == {name_of(0)}
    (disk / "ballast").unlink()
    copied = copy(source, target)
    assert (copied.num_copied, copied.num_present) == (1, 1)
    assert told(target) == told(source)


# what people call runs


def check_labels_meet(one: Store, other: Store, steps, copy=copy_runs) -> None:
    """Whatever was changed on either side: who has copied from the other says the same, and what
    only one side says is said on both."""
    for store in (one, other):
        store.open_for_writing()
        store.save_run(run_of([1], "small-1"))
        store.edit_run("small-1", RunEdit(add_tags=["both"]))
    copy(plan_copy(one, other))
    for is_one, edit in steps:
        (one if is_one else other).edit_run("small-1", edit)
    before = [store.labels_of("small-1") for store in (one, other)]
    copy(plan_copy(one, other))
    copy(plan_copy(other, one))
    found = one.labels_of("small-1")
    assert found == other.labels_of("small-1")
    removed = {tag for _, edit in steps for tag in edit.remove_tags}
    assert {tag for said in before for tag in said.tags} - removed <= {*found.tags}
    names = [edit.name for _, edit in steps if edit.name is not None]
    assert found.name in (names or [""])
    changed = {is_one for is_one, edit in steps if edit.notes is not None}
    if len(changed) == 2:
        assert {line for said in before for line in said.notes.splitlines()} == {
            *found.notes.splitlines()
        }


EDITS = st.builds(
    RunEdit,
    name=st.sampled_from([None, "", "one", "two"]),
    add_tags=st.lists(st.sampled_from(["a", "b"]), max_size=1),
    remove_tags=st.lists(st.sampled_from(["c", "both"]), max_size=1),
    notes=st.sampled_from([None, None, "x", "y", ""]),
)


@settings(max_examples=40)
@given(steps=st.lists(st.tuples(st.booleans(), EDITS), max_size=6))
def test_what_runs_are_called_meets(steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("meet")
    check_labels_meet(Store(folder / "one"), Store(folder / "other"), steps)


def _keeps_its_own(plan):
    before = {run.id: plan.target.labels_of(run.id) for run in plan.runs}
    copied = copy_runs(plan)
    for run_id, labels in before.items():
        now = plan.target.labels_of(run_id)
        added = [tag for tag in labels.tags if tag not in now.tags]
        gone = [tag for tag in now.tags if tag not in labels.tags]
        plan.target.edit_run(run_id, RunEdit(labels.name, added, gone, labels.notes))
    return copied


def test_a_copy_that_leaves_labels_behind_is_caught(tmp_path):
    steps = [(True, RunEdit("one", ["a"], notes="x")), (False, RunEdit(notes="y"))]
    check_labels_meet(Store(tmp_path / "a"), Store(tmp_path / "b"), steps)
    with pytest.raises(AssertionError):
        check_labels_meet(Store(tmp_path / "c"), Store(tmp_path / "d"), steps, _keeps_its_own)


def test_labels_travel_between_all_kinds_of_stores(pair):
    here, there = pair
    family(here)
    labels = here.edit_run("small-00000000", RunEdit("mine", ["a"], notes="said\nso"))
    copy_runs(plan_copy(here, there))
    assert there.labels() == {"small-00000000": labels}
    assert there.run("mine").id == "small-00000000"


def test_a_damaged_label_is_named_and_not_copied(folders):
    here, there = folders
    family(here)
    here.edit_run("small-00000000", RunEdit("mine"))
    here.edit_run("small-00000000", RunEdit(add_tags=["a"]))
    path = max((here.root / "board" / "labels").iterdir(), key=lambda p: b"mine" in p.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"mine", b"your"))
    copied = copy_runs(plan_copy(here, there))
    (said,) = copied.damaged
    assert path.name in said
    assert "nothing but a name, tags or notes" in said
    assert there.labels_of("small-00000000").tags == ("a",)
    with pytest.warns(DamagedLabelWarning, match="gc` removes it"):
        assert here.labels_of("small-00000000").tags == ("a",)
