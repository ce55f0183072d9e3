"""A run is tracked while it goes, or later: it comes to the same, and the run to the same bytes."""

import hashlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from line_tracker import LineTracker, by_run, lines

import lottery_ticket
import lottery_ticket.workers
from lottery_ticket.api import prepare
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment import Observer, read_history, run_plan
from lottery_ticket.store import Store
from lottery_ticket.tracking import (
    TRACKERS,
    Listeners,
    Named,
    Telling,
    chosen_trackers,
    track_finished,
)

TINY = ["replicates=2", "prune.levels=2", "train.duration=2ep", "model.hidden=[12, 8]"]
SMALL = ["replicates=1", "prune.levels=1", "train.duration=1ep", "model.hidden=[12, 8]"]
PATIENCE_SECONDS = 60.0


def tiny(store: Path, **more):
    """A run of a second or two."""
    given = {"overrides": TINY, "jobs": 1, "threads": 1, "progress": False}
    return lottery_ticket.run("quickstart", store=store, **{**given, **more})


def told_of(store: Path, tracker, overrides: list[str] = SMALL) -> list[str]:
    """A run that is tracked, without the figures and the report; what was said."""
    prepared = prepare("quickstart", overrides=overrides, store=store, jobs=1, threads=1)
    notes: list[str] = []
    telling = Telling(chosen_trackers(tracker), notes.append)
    run_plan(prepared.plan, prepared.store, prepared.context, observer=telling)
    telling.end()
    return notes


def later(result, *trackers, **more) -> list[str]:
    """A finished run is sent, without the figures and the report; what was said."""
    notes: list[str] = []
    given = chosen_trackers(list(trackers))
    track_finished(result.record, result.store, given, notes.append, **more)
    return notes


def logs(found: list[dict]) -> list[tuple]:
    return [
        (line["run"], line["name"], line["step"], line["value"])
        for line in found
        if line["method"] == "log"
    ]


def digests(folder: Path) -> dict[str, str]:
    """Every byte that a run's results consist of."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "cells").rglob("*"))
        if path.is_file() and path.name != "execution.json"
    }


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A run, and what a tracker wrote of it."""
    folder = tmp_path_factory.mktemp("tracked")
    result = tiny(folder / "store", track=f"lines={folder / 'secret-place'}")
    return result, lines(folder / "secret-place")


def test_each_arm_and_replicate_is_a_run(tracked):
    result, found = tracked
    arms = [f"{result.id}-{arm}-{n}" for arm in ("ticket", "reinit") for n in (0, 1)]
    assert set(by_run(found)) == {result.id, *arms}
    for name in arms:
        calls = by_run(found)[name]
        assert (calls[0]["method"], calls[-1]) == (
            "start", {"method": "finish", "run": name, "is_complete": True},
        )  # fmt: skip


def test_values_are_those_of_the_table(tracked):
    result, found = tracked
    for row in result.rows:
        of_run = f"{result.id}-{row['arm']}-{row['replicate']}"
        told = {
            line["name"]: line["value"]
            for line in found
            if line["method"] == "log" and line["run"] == of_run and line["step"] == row["level"]
            if line["name"].startswith("level/")
        }
        for name in ("density", "sparsity", "num_kept", "test_accuracy", "test_loss", "num_steps"):
            assert told[f"level/{name}"] == row[name]


def test_params_are_the_recipe(tracked):
    result, found = tracked
    params = next(line["params"] for line in found if line["run"].endswith("-reinit-1"))
    spec = result.record.spec
    assert params["train.lr"] == spec["train"]["lr"]
    assert params["prune.criterion"] == "magnitude"
    assert (params["arm"], params["replicate"], params["run"]) == ("reinit", 1, result.id)
    assert params["arms"] == "ticket, reinit"


def test_the_run_as_a_whole_has_the_files(tracked):
    result, found = tracked
    sizes = {line["name"]: line["size"] for line in found if line["method"] == "artifact"}
    assert {line["run"] for line in found if line["method"] == "artifact"} == {result.id}
    assert {"verdict.txt", "report.html", "ticket.safetensors", "figures/accuracy.png"} <= set(
        sizes
    )
    assert all(size > 100 for size in sizes.values())


def test_later_it_is_the_same(tracked, tmp_path):
    result, found = tracked
    result.track(LineTracker(str(tmp_path / "later.jsonl")))
    assert by_run(lines(tmp_path / "later.jsonl")) == by_run(found)


@pytest.mark.slow  # what workers make is as what is made here: tests/experiment
def test_by_workers_it_is_the_same(tracked, tmp_path):
    found = tracked[1]
    store = tmp_path / "store"
    lottery_ticket.submit("quickstart", overrides=TINY, store=store)
    told, done = LineTracker(str(tmp_path / "workers.jsonl")), []
    watching = threading.Thread(
        target=lambda: done.append(
            tiny(store, track=told, executor="workers", jobs=None, threads=None)
        )
    )
    watching.start()
    lottery_ticket.work(store, jobs=1)
    watching.join(PATIENCE_SECONDS)
    assert done, "it never came"
    live = by_run(lines(tmp_path / "workers.jsonl"))
    assert set(live) == set(by_run(found))
    for name, calls in live.items():
        told_here = [line for line in calls if "seconds" not in line.get("name", "")]
        there = [line for line in by_run(found)[name] if "seconds" not in line.get("name", "")]
        assert told_here == there


@pytest.mark.slow  # in whichever order trainings end: test_story
def test_with_several_at_a_time_it_is_the_same(tracked, tmp_path):
    found = tracked[1]
    told, levels = LineTracker(str(tmp_path / "two.jsonl")), []
    prepared = prepare("quickstart", overrides=TINY, store=tmp_path / "store", threads=1)
    with Listeners.checked(told, levels.append).told(Observer()) as observer:
        run_plan(prepared.plan, prepared.store, prepared.context, jobs=2, observer=observer)
    for arm in ("ticket", "reinit"):
        own = [r.level for r in levels if (r.arm, r.replicate) == (arm, 1)]
        assert own == [0, 1, 2]
    live = by_run(lines(told.path))
    for name, calls in by_run(found).items():
        assert [(c["method"], c.get("name"), c.get("step")) for c in live[name]] == [
            (c["method"], c.get("name"), c.get("step"))
            for c in calls
            if c["method"] != "artifact"  # which are for another test
        ]


def test_nothing_is_doubled_by_the_same_call(tracked, tmp_path):
    result, found = tracked
    told = LineTracker(str(tmp_path / "twice.jsonl"))
    for _ in range(2):
        assert told_of(Path(result.store.location), told, TINY) == []
    assert sorted(logs(lines(told.path))) == sorted(logs(found))
    assert set(Counter(each[:3] for each in logs(lines(told.path))).values()) == {1}


def test_one_that_was_killed_goes_on_where_it_was(tracked, tmp_path):
    """Killed as soon as something was tracked, the same command comes to what was never killed."""
    result, found = tracked
    store, told = tmp_path / "store", tmp_path / "lines.jsonl"
    command = [
        sys.executable, "-m", "lottery_ticket.cli", "run", "quickstart", "--store", store,
        "--jobs", "1", "--threads", "1", "--quiet", *(f"--set={each}" for each in TINY),
        "--import", Path(__file__).with_name("line_tracker.py"), "--track", f"lines={told}",
    ]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True)
    end = time.monotonic() + PATIENCE_SECONDS
    while not any(line["method"] == "log" for line in lines(told)):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert subprocess.run(command, capture_output=True, check=True).stdout.decode().strip() == (
        result.id
    )
    timed = {"level/train_seconds"}
    keys = [
        [
            (line["run"], line["name"], line["step"], line["value"])
            for line in each
            if line["method"] == "log" and line["name"] not in timed
        ]
        for each in (lines(told), found)
    ]
    assert sorted(keys[0]) == sorted(keys[1])
    assert digests(store) == digests(Path(result.store.location))


class Told:
    """Says what it is told, to whoever waits for it."""

    def __init__(self):
        self.values = queue.SimpleQueue()

    def start(self, run): ...

    def log(self, run, values, step):
        self.values.put((run.arm, values, step))

    def artifact(self, run, name, path): ...

    def finish(self, run, is_complete): ...


def test_a_training_is_told_of_while_it_goes_on(tmp_path):
    """One that was stopped half way stands for one that goes on: it is what is seen of it."""
    long = [*TINY, "replicates=1", "train.duration=3000ep"]
    prepared = prepare("quickstart", overrides=long, store=tmp_path / "store", jobs=1, threads=1)
    store, cells = prepared.store, prepared.plan.cells
    dense = next(cell for cell in cells.values() if cell.num_steps)

    def stop_it():
        while len(read_history(store.desk(dense.name))) < 3:
            time.sleep(0.02)
        lottery_ticket.workers.stop(prepared.plan.id, store=store)

    stopping = threading.Thread(target=stop_it)
    stopping.start()
    assert prepared.run(progress=False).outcome.is_stopped
    stopping.join(PATIENCE_SECONDS)
    assert dense.name not in store.cell_names()

    tracker, notes = Told(), []
    telling = Telling([Named("told", tracker)], notes.append)
    telling.begin(prepared.plan, set(), store)
    telling.started(dense)
    seen = [tracker.values.get(timeout=PATIENCE_SECONDS) for _ in range(3)]
    telling.end()
    history = read_history(store.desk(dense.name))
    assert notes == []
    assert [step for arm, _, step in seen if arm == seen[0][0]] == [
        each["step"] for each in history[:3]
    ]
    assert seen[0][1]["training/train_loss"] == history[0]["train_loss"]


# what a tracker does must be nothing to the run


class Broken(LineTracker):
    """Dies after some calls."""

    def log(self, run, values, step):
        raise ConnectionError("the server is gone")


class Exiting(LineTracker):
    """Ends its thread, or tries to."""

    def log(self, run, values, step):
        raise SystemExit(3)


class NeverStarts(LineTracker):
    """Cannot begin a run."""

    def start(self, run):
        raise PermissionError(13, "read-only", str(self.path))


class Hanging(LineTracker):
    """Does not come back."""

    patience_seconds = 0.2

    def __init__(self, where):
        super().__init__(where)
        self.released = threading.Event()

    def log(self, run, values, step):
        self.released.wait(PATIENCE_SECONDS)


KINDS = {
    Broken: "log() failed (ConnectionError: the server is gone)",
    Exiting: "log() failed (SystemExit: 3)",
    NeverStarts: "start() failed (PermissionError: [Errno 13] read-only",
    Hanging: "it has not answered for 0.2 s",
}


def through_the_api(store, tracker):
    tiny(store, track=tracker)


class Direct(Observer):
    """Calls a tracker by the thread that runs: what a run must not do."""

    def __init__(self, tracker):
        self.tracker = tracker

    def ended(self, cell, outcome):
        self.tracker.start(None)
        self.tracker.log(None, {}, 0)


def by_the_thread_that_runs(store, tracker):
    prepared = prepare("quickstart", overrides=TINY, store=store, jobs=1, threads=1)
    run_plan(prepared.plan, prepared.store, prepared.context, observer=Direct(tracker))


def check_nothing_ends_a_run(run, kind, whole, folder):
    tracker = kind(str(folder / "lines.jsonl"))
    try:
        run(folder / "store", tracker)
    except BaseException as error:
        raise AssertionError(f"it was ended: {error!r}") from None
    assert digests(folder / "store") == digests(Path(whole.store.location))


@pytest.mark.parametrize("kind", KINDS)
def test_no_tracker_ends_a_run(kind, tracked, tmp_path, capsys):
    check_nothing_ends_a_run(through_the_api, kind, tracked[0], tmp_path)
    said = capsys.readouterr().err
    assert f"track {kind.__name__}: " in said
    assert KINDS[kind] in said
    assert said.count(KINDS[kind]) <= 2  # once, and once more when it is given up
    assert "the run goes on" in said
    assert (
        f"`lottery_ticket.load_run('{tracked[0].id}', store='{tmp_path}/store').track(…)`" in said
    )


@pytest.mark.parametrize("kind", [Broken, Exiting, NeverStarts])
def test_calls_by_the_thread_that_runs_break_the_law(kind, tracked, tmp_path):
    tracker_is_broken = pytest.raises(AssertionError, match="it was ended")
    with tracker_is_broken:
        check_nothing_ends_a_run(by_the_thread_that_runs, _one_call(kind), tracked[0], tmp_path)


def _one_call(kind):
    """The same, whose start is known to need no run."""
    return type(kind.__name__, (kind,), {} if kind is NeverStarts else {"start": lambda *_: None})


def test_one_that_fails_is_nothing_to_another(tracked, tmp_path):
    good = LineTracker(str(tmp_path / "good.jsonl"))
    with pytest.raises(LotteryError, match="not all of it was sent to Broken;"):
        later(tracked[0], Broken(str(tmp_path / "broken.jsonl")), good)
    assert sorted(logs(lines(good.path))) == sorted(logs(tracked[1]))


class FailsOnce(LineTracker):
    """Its first values are lost."""

    has_failed = False

    def log(self, run, values, step):
        if not self.has_failed:
            self.has_failed = True
            raise TimeoutError("too slow")
        super().log(run, values, step)


def test_what_was_lost_is_sent_later(tracked, tmp_path):
    result, found = tracked
    told = FailsOnce(str(tmp_path / "lines.jsonl"))
    notes = []
    with pytest.raises(LotteryError, match="not all of it was sent to FailsOnce"):
        track_finished(result.record, result.store, chosen_trackers(told), notes.append)
    assert notes[0] == "track FailsOnce: log() failed (TimeoutError: too slow); the run goes on"
    assert "1 calls failed" in notes[1]
    assert later(result, told) == []
    assert sorted(logs(lines(told.path))) == sorted(logs(found))


class Dead(LineTracker):
    """Nothing of it works."""

    def _write(self, **line):
        raise OSError("gone")


def test_for_a_dead_one_nothing_is_drawn(tracked, tmp_path):
    def no_files(folder, note):
        raise AssertionError("they were drawn for nobody")

    telling = Telling(chosen_trackers(Dead(str(tmp_path / "none"))), (notes := []).append, no_files)
    telling.begin_run(tracked[0].id, tracked[0].store)
    end = time.monotonic() + PATIENCE_SECONDS
    while not notes:
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    telling.end()
    assert any("5 calls in a row failed" in note for note in notes), notes
    assert not any("files" in note for note in notes)


def test_where_nothing_can_be_written_the_run_goes_on(tmp_path, capsys, monkeypatch):
    """The folder of temporary files is lost while it runs."""
    told = LineTracker(str(tmp_path / "lines.jsonl"))
    result = tiny(
        tmp_path / "store", overrides=SMALL, track=told,
        on_level=lambda record: monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none")),
    )  # fmt: skip
    assert result.outcome.is_complete
    assert "track: no files are sent: FileNotFoundError" in capsys.readouterr().err
    assert lines(told.path)[-1] == {"method": "finish", "run": result.id, "is_complete": True}


class Stuck:
    """A store that does not answer for a while."""

    def __init__(self, store, after):
        self.store, self.after, self.asked = store, after, threading.Event()
        self.released = threading.Event()

    def __getattr__(self, name):
        return getattr(self.store, name)

    def get(self, name):
        self.after -= 1
        if self.after < 0:
            self.asked.set()
            self.released.wait(PATIENCE_SECONDS)
        return self.store.get(name)


def test_a_store_that_does_not_answer_leaves_no_run_open(tracked, tmp_path):
    told = LineTracker(str(tmp_path / "lines.jsonl"))
    store = Stuck(tracked[0].store, after=6)
    telling = Telling(chosen_trackers(told), (notes := []).append)
    telling.begin_run(tracked[0].id, store)
    assert store.asked.wait(PATIENCE_SECONDS)
    telling.end(seconds=0.2)
    store.released.set()
    calls = by_run(lines(told.path))
    assert len(calls) > 1
    assert all(each[-1]["method"] == "finish" for each in calls.values())
    assert calls[tracked[0].id][-1]["is_complete"] is False
    assert telling.failed == ["LineTracker"]
    assert "the store does not answer" in notes[0]


def test_what_another_store_began_is_said(tmp_path):
    told = LineTracker(str(tmp_path / "lines.jsonl"))
    assert told_of(tmp_path / "here", told) == []
    assert told_of(tmp_path / "here", told) == []  # it goes on
    (said,) = told_of(tmp_path / "there", told)
    assert "track LineTracker: goes on with a run begun elsewhere, quickstart-" in said


def test_what_waits_is_said_and_not_counted(tracked, tmp_path):
    """A level that is not there holds back those after it, and comes first once it is."""
    result, found = tracked
    shutil.copytree(result.store.location, tmp_path / "store")
    row = next(row for row in result.record.rows if (row.arm, row.level) == ("reinit", 1))
    (folder,) = {
        p.parent for p in (tmp_path / "store" / "cells").rglob(f"*{row.cell}*/record.json")
    }
    folder.rename(tmp_path / "aside")
    half, told = (
        lottery_ticket.load_run(store=tmp_path / "store"),
        LineTracker(str(tmp_path / "lines.jsonl")),
    )
    given, notes = chosen_trackers(told), []
    assert track_finished(half.record, half.store, given, notes.append) == 10
    assert notes == [
        f"track: reinit, replicate {row.replicate}: level 1 is not there; 2 will be sent after it"
    ]
    (tmp_path / "aside").rename(folder)
    whole = lottery_ticket.load_run(store=tmp_path / "store")
    assert later(whole, told) == []
    name = f"{result.id}-reinit-{row.replicate}"
    assert [each for each in logs(lines(told.path)) if each[0] == name] == [
        each for each in logs(found) if each[0] == name
    ]


def test_what_sends_the_rest_is_what_was_asked_for(tmp_path, monkeypatch):
    given = f"lines={tmp_path}/no folder/lines"
    monkeypatch.chdir(tmp_path)
    told_of(tmp_path / "lottery_runs", None)
    shutil.copytree("lottery_runs", "else where")
    for folder, at in (("lottery_runs", ""), ("else where", f" --store '{tmp_path}/else where'")):
        result, notes = lottery_ticket.load_run(store=tmp_path / folder), []
        with pytest.raises(LotteryError):
            track_finished(result.record, result.store, chosen_trackers(given), notes.append)
        wanted = f"lottery track {result.id} --to '{given}'{at}"
        assert f"`{wanted}` sends what is missing" in notes[-1]


def test_a_password_is_in_no_such_line():
    (named,) = chosen_trackers("lines=http://me:secret@127.0.0.1:1/x?token=secret")
    assert named.given == "lines=http://me:…@127.0.0.1:1/x?…"


class Otherwise:
    """Calls its arguments as it likes."""

    def __init__(self):
        self.calls = []

    def start(self, r):
        self.calls.append("start")

    def log(self, r, vals, s, *more):
        self.calls.append(("log", isinstance(s, int)))

    def artifact(self, r, n, p): ...

    def finish(self, r, ok):
        self.calls.append(("finish", ok))


def test_arguments_have_any_names(tracked):
    tracker = Otherwise()
    assert later(tracked[0], tracker) == []
    assert tracker.calls[0] == "start"
    assert tracker.calls[-1] == ("finish", True)
    assert ("log", True) in tracker.calls


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"log": lambda self, values: None}, r"log\(\) cannot be called with 3 arguments"),
        ({"finish": lambda self, *, run: None}, r"finish\(\) cannot be called with 2 arguments"),
        ({"patience_seconds": "long"}, "patience_seconds is 'long', wanted seconds"),
        ({"patience_seconds": 0}, "patience_seconds is 0, wanted seconds, above 0"),
    ],
)
def test_what_cannot_be_called_is_said_before_anything_runs(change, said):
    with pytest.raises(UsageError, match=said):
        chosen_trackers(type("Odd", (Otherwise,), change)())


# what is asked for is checked before anything runs

OWN = Otherwise()


@pytest.fixture
def trackers_forgotten():
    """What a test registers is forgotten after it."""
    with TRACKERS.restored():
        yield


@pytest.mark.parametrize(
    ("track", "said"),
    [
        ("mlfow", "unknown tracker 'mlfow'; did you mean 'mlflow'?"),
        ("lines=", "'lines=' says no place"),
        (["lines=a", "lines=a"], "lines=a and lines=a may be one place"),
        ([OWN, OWN], "Otherwise and Otherwise may be one place"),
        (LineTracker, "LineTracker is a class, pass an object: LineTracker(…)"),
        (object(), "object has no start() and no log() and no artifact() and no finish()"),
        (3, "int has no start()"),
        ("wandb", None),
        ("mlflow", None),
        ("trackio", None),
        ("tensorboard", None),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(track, said, tmp_path):
    if said is None:
        said = f"pip install 'lottery-ticket[{track}]'"
        try:
            __import__(track)
        except ImportError:
            pass
        else:
            pytest.skip(f"{track} is installed")
    with pytest.raises(UsageError) as error:
        tiny(tmp_path / "store", track=track)
    assert said in str(error.value)
    assert not (tmp_path / "store").exists()


def test_one_that_cannot_be_made_is_said(tmp_path, trackers_forgotten):
    @lottery_ticket.register_tracker("fragile")
    class Fragile(LineTracker):
        def __init__(self):
            raise OSError("no room")

    with pytest.raises(UsageError, match=r"fragile cannot be set up \(OSError: no room\)"):
        tiny(tmp_path / "store", track="fragile")
    with pytest.raises(UsageError, match="fragile takes no place"):
        tiny(tmp_path / "store", track="fragile=there")


def test_one_place_under_two_spellings_is_said(trackers_forgotten):
    @lottery_ticket.register_tracker("spelled")
    class Spelled(Otherwise):
        def __init__(self, where="runs"):
            super().__init__()
            user, _, project = where.rpartition("/")
            self.place = (user or None, project)

    for given in (["spelled", "spelled=runs"], ["spelled=runs", "spelled=me/runs"]):
        with pytest.raises(UsageError, match="may be one place"):
            chosen_trackers(given)
    assert len(chosen_trackers(["spelled", "spelled=others"])) == 2
    assert len(chosen_trackers(["spelled=me/runs", "spelled=you/runs"])) == 2


def test_nothing_of_it_is_in_the_store(tracked):
    for path in Path(tracked[0].store.location).rglob("*"):
        if path.is_file():
            assert b"secret-place" not in path.read_bytes(), path


def test_one_folder_of_a_store_is_enough(tracked):
    """A store that another process opens has all that `lottery track` needs."""
    found = lottery_ticket.load_run(store=Store(tracked[0].store.location))
    assert found.id == tracked[0].id


def test_what_is_damaged_is_said_and_the_rest_is_sent(tracked, tmp_path, capsys):
    shutil.copytree(tracked[0].store.location, tmp_path / "store")
    result = lottery_ticket.load_run(store=tmp_path / "store")
    row = next(row for row in result.record.rows if (row.arm, row.level) == ("reinit", 2))
    (path,) = (tmp_path / "store" / "cells").rglob(f"*{row.cell}*/record.json")
    path.write_bytes(path.read_bytes()[:-20])
    told = LineTracker(str(tmp_path / "lines.jsonl"))
    with pytest.raises(LotteryError, match="not all of it was sent to LineTracker"):
        result.track(told)
    assert "damaged" in capsys.readouterr().err
    found = by_run(lines(told.path))
    lacking = f"{result.id}-reinit-{row.replicate}"
    assert found[lacking][-1] == {"method": "finish", "run": lacking, "is_complete": False}
    whole = by_run(tracked[1])
    others = set(whole) - {lacking, result.id}
    assert all(found[name] == whole[name] for name in others)
