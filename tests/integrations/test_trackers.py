"""Trackers against the libraries themselves, read back by their own clients (`make trackers`).

MLflow into a file of SQLite, TensorBoard's event files, wandb without a network, Trackio's own
file: nothing listens, and nothing leaves the machine.
"""

import logging
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lottery_ticket
from lottery_ticket.api import load_run
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.store import Store, history_rows
from lottery_ticket.tracking import TrackedRun, chosen_trackers

mlflow = pytest.importorskip("mlflow", reason="`make trackers` has mlflow")
pytest.importorskip("tensorboard", reason="`make trackers` has tensorboard")
pytest.importorskip("wandb", reason="`make trackers` has wandb")

pytestmark = [
    # of the libraries' own: files and sockets that they leave to the end of the process
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # of the code of MLflow, wandb and Trackio, and of what they import
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

TINY = [
    "replicates=2", "prune.levels=2", "train.duration=3ep", "model.hidden=[12, 8]",
    "arms=[ticket, {name: reinit, draws: 2, stretch: 3}]",  # levels of several lengths
]  # fmt: skip
LINES = ("ticket-0", "ticket-1", "reinit-0", "reinit-1", "reinit-0-1", "reinit-1-1")
PATIENCE_SECONDS = 90.0
Values = Counter  # (name, step, value) → how often it is there


# what is there, as each tracker's own client reads it: tracked run → its values


def read_mlflow(folder: Path, result) -> dict[str, Values]:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("quickstart")
    found = {}
    for run in client.search_runs([experiment.experiment_id]):
        values = [
            (metric.key, metric.step, metric.value)
            for name in run.data.metrics
            for metric in client.get_metric_history(run.info.run_id, name)
        ]
        found[run.data.tags["lottery_id"]] = Counter(values)
    return found


def read_tensorboard(folder: Path, result) -> dict[str, Values]:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    events = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(
        str(folder / "events")
    )
    events.Reload()
    found = {}
    for name, tags in events.Runs().items():
        values = [
            (tag, each.step, each.value)
            for tag in tags["scalars"]
            for each in events.Scalars(name, tag)
        ]
        found[name.replace("/", "-")] = Counter(values)
    return found


def read_trackio(folder: Path, result) -> dict[str, Values]:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    found = {}
    for run in trackio.Api().runs("quickstart"):
        rows = SQLiteStorage.get_logs("quickstart", run.name, run_id=run.id)
        values = [
            (name, row["step"], value)
            for row in rows
            for name, value in row.items()
            if name.startswith(("training/", "level/"))
        ]
        found[run.name] = Counter(values)
    return found


def wandb_records(path: Path) -> Iterator:
    """The records of a .wandb file: wandb's own messages, in blocks of 32 KiB as LevelDB's log."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a whole one, or the last part of one
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def read_wandb(folder: Path, result) -> dict[str, Values]:
    """Of each run the newest folder: it is the whole run."""
    import json

    found = {}
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        values = []
        for record in wandb_records(path):
            items = record.history.item
            row = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
            for name, value in row.items():
                axis = name.partition("/")[0]
                step = row.get(f"{axis}/{'step' if axis == 'training' else 'level'}")
                is_axis = name in ("training/step", "level/level")
                if axis in ("training", "level") and not is_axis:
                    values.append((name, step, value))
        found[path.stem.removeprefix("run-")] = Counter(values)
    return found


READ = {
    "mlflow": read_mlflow,
    "tensorboard": read_tensorboard,
    "trackio": read_trackio,
    "wandb": read_wandb,
}


def expected(result) -> dict[str, Values]:
    """What is to be there, from the tables of the run."""
    found = {f"{result.id}-{line}": Counter() for line in LINES}

    def line(row):
        draw = f"-{row['draw']}" if row["draw"] else ""
        return found[f"{result.id}-{row['arm']}-{row['replicate']}{draw}"]

    names = (
        "density", "sparsity", "num_kept", "test_accuracy", "test_loss", "val_accuracy", "val_loss",
        "early_stop_step", "test_accuracy_at_early_stop", "start_step", "num_steps",
        "train_seconds",
    )  # fmt: skip
    density = {}
    for row in result.rows:
        density[row["arm"], row["replicate"], row["draw"], row["level"]] = row["density"]
        line(row).update((f"level/{name}", row["level"], row[name]) for name in names)
    measured = history_rows(result.store, result.record)
    lengths: dict[tuple, dict[int, int]] = {}  # of each level, which begins where another ends
    for row in measured:
        levels = lengths.setdefault((row["arm"], row["replicate"], row["draw"]), {})
        levels[row["level"]] = max(row["step"], levels.get(row["level"], 0))
    for row in measured:
        place = {name: row.pop(name) for name in ("arm", "replicate", "draw", "level")}
        levels = lengths[place["arm"], place["replicate"], place["draw"]]
        before = sum(levels[level] for level in levels if level < place["level"])
        step = before + row.pop("step")
        values = {
            "level": place["level"],
            "density": density[tuple(place[n] for n in ("arm", "replicate", "draw", "level"))],
            **{name: value for name, value in row.items() if value is not None},
        }
        line(place).update((f"training/{name}", step, value) for name, value in values.items())
    return found


def check_tracked(name: str, folder: Path, result) -> None:
    """The law: every value is there, once, with its step."""
    there, wanted = READ[name](folder, result), expected(result)
    for run, values in wanted.items():
        assert Counter(map(_rounded, values.elements())) == Counter(
            map(_rounded, there[run].elements())
        ), run
    assert not there.get(result.id), "the run as a whole has files alone"


def _rounded(value):
    name, step, number = value
    return name, step, float(f"{number:.5g}")  # event files hold float32


def places(folder: Path) -> list[str]:
    return [
        f"mlflow=sqlite:///{folder}/mlflow.db", f"tensorboard={folder}/events", "trackio", "wandb",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def settled(tmp_path_factory) -> Iterator[Path]:
    """A folder in which all trackers write; the process is as it was after it."""
    folder = tmp_path_factory.mktemp("tracked")
    patch = pytest.MonkeyPatch()
    with patch.context() as environment:
        environment.setenv("TRACKIO_DIR", str(folder / "trackio"))  # read when it is imported
        environment.setenv("WANDB_MODE", "offline")
        environment.setenv("WANDB_DIR", str(folder))
        environment.chdir(folder)
        yield folder


def tiny(folder: Path, **more):
    given = {"overrides": TINY, "jobs": 1, "threads": 1, "progress": False}
    return lottery_ticket.run("quickstart", store=folder / "store", **given | more)


@pytest.fixture(scope="module")
def tracked(settled):
    """A run that is tracked by all at once, and the state of the process before and after."""
    random.seed(5)
    before = process_state()
    result = tiny(settled, track=places(settled))
    return result, before, process_state()


def _speaking(logger: logging.Logger) -> list[logging.Handler]:
    """Libraries give their loggers one that says nothing when they are imported."""
    return [each for each in logger.handlers if type(each) is not logging.NullHandler]


OF_OTHERS = ("PYTEST_", "_MLFLOW_")  # which they set, and take away, when they like


def process_state() -> dict:
    """What all of this process share."""
    loggers = [logging.getLogger(name) for name in ("", "alembic", "urllib3", "PIL", "matplotlib")]
    return {
        "random": random.getstate(),
        "numpy": str(np.random.get_state()),
        "torch": torch.random.get_rng_state().tolist(),
        "filters": [str(each) for each in warnings.filters],
        "show": warnings.showwarning,
        "environment": {n: v for n, v in os.environ.items() if not n.startswith(OF_OTHERS)},
        "loggers": [(each.level, _speaking(each), each.disabled) for each in loggers],
        "silence": logging.root.manager.disable,
        "hooks": (sys.excepthook, sys.exit, threading.excepthook, sys.displayhook),
        "handlers": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "folder": Path.cwd(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
    }


@pytest.mark.parametrize("name", READ)
def test_every_value_is_there_once(name, tracked, settled):
    check_tracked(name, settled, tracked[0])


def test_the_process_is_as_it_was(tracked):
    import trackio
    import wandb

    _, before, after = tracked
    for name in before:
        assert after[name] == before[name], name
    assert wandb.run is None
    assert mlflow.active_run() is None
    assert trackio.context_vars.current_run.get() is None


def test_a_value_that_is_there_twice_breaks_the_law(tracked, settled):
    """A tracker that does not say what it has is told all of it again."""
    from lottery_ticket.integrations.tensorboard import TensorBoardTracker

    class Forgetful(TensorBoardTracker):
        def start(self, run):
            super().start(run)

    twice = settled / "twice"
    tracked[0].track(Forgetful(str(twice / "events")))
    check_tracked("tensorboard", twice, tracked[0])
    tracked[0].track(Forgetful(str(twice / "events")))
    with pytest.raises(AssertionError):
        check_tracked("tensorboard", twice, tracked[0])


def test_mlflow_nests_and_says(tracked, settled):
    result = tracked[0]
    client = mlflow.MlflowClient(f"sqlite:///{settled}/mlflow.db")
    runs = {
        run.data.tags["lottery_id"]: run
        for run in client.search_runs([client.get_experiment_by_name("quickstart").experiment_id])
    }
    whole = runs.pop(result.id)
    assert set(runs) == {f"{result.id}-{line}" for line in LINES}
    for run in runs.values():
        assert run.data.tags["mlflow.parentRunId"] == whole.info.run_id
        assert run.data.params["train.lr"] == str(result.record.spec["train"]["lr"])
        assert run.info.status == "FINISHED"
    assert whole.info.run_name == result.id
    assert whole.data.tags["mlflow.note.content"].startswith(result.verdict().sentence)
    files = [each.path for each in client.list_artifacts(whole.info.run_id)]
    assert {"verdict.txt", "report.html", "ticket.safetensors", "figures"} <= set(files)
    saved = client.download_artifacts(whole.info.run_id, "ticket.safetensors", str(settled))
    assert lottery_ticket.Ticket.load(saved).mask.density < 1


def test_tensorboard_has_recipe_figures_and_verdict(tracked, settled):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = settled / "events" / tracked[0].id
    events = EventAccumulator(str(folder)).Reload()
    assert "figures/accuracy" in events.Tags()["images"]
    (image,) = events.Images("figures/accuracy")
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert (image.width, image.height) > (100, 100)
    text = events.Tensors("verdict/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text.startswith(tracked[0].verdict().sentence)
    part = EventAccumulator(str(folder / "reinit-0-1")).Reload()
    hparams = part.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert hparams.plugin_name == "hparams"
    assert b"train.lr" in hparams.content
    assert (folder / "report.html").stat().st_size > 10_000


def test_wandb_groups_and_says(tracked, settled):
    paths = (settled / "wandb").glob(f"offline-run-*-{tracked[0].id}*/*.wandb")
    runs, axes, summary = {}, {}, {}
    for path in paths:
        for record in wandb_records(path):
            if record.WhichOneof("record_type") == "run":
                runs[record.run.run_id] = record.run
            for item in record.summary.update:
                summary[item.key] = item.value_json
            if record.WhichOneof("record_type") == "metric":
                axes[record.metric.glob_name or record.metric.name] = record.metric.step_metric
    assert set(runs) == {tracked[0].id, *(f"{tracked[0].id}-{line}" for line in LINES)}
    assert {run.run_group for run in runs.values()} == {tracked[0].id}
    assert runs[f"{tracked[0].id}-ticket-1"].job_type == "ticket"
    config = {item.key or item.nested_key[0] for item in runs[tracked[0].id].config.update}
    assert "train.lr" in config
    assert tracked[0].verdict().sentence[:20] in summary["verdict"]


def test_trackio_groups_and_keeps(tracked, settled):
    import trackio

    runs = {run.name: run for run in trackio.Api().runs("quickstart")}
    assert set(runs) == {tracked[0].id, *(f"{tracked[0].id}-{line}" for line in LINES)}
    config = runs[f"{tracked[0].id}-ticket-0"].config
    assert (config["_Group"], config["arm"]) == (tracked[0].id, "ticket")
    assert config["train.lr"] == tracked[0].record.spec["train"]["lr"]
    assert list((settled / "trackio" / "media").rglob("*.png"))


@pytest.mark.parametrize("name", READ)
def test_a_run_that_was_killed_goes_on_in_the_same_runs(name, tracked, settled, tmp_path):
    """kill -9 once values are there; the same command, and all of it is there once."""
    before = os.environ["TRACKIO_DIR"], Path.cwd()
    folder = settled if name == "trackio" else tmp_path  # that knows one folder for a process
    overrides = [*TINY, "seed=7"] if name == "trackio" else TINY  # another run of its project
    track = next(each for each in places(folder) if each.startswith(name))
    command = [
        sys.executable, "-m", "lottery_ticket.cli", "run", "quickstart", "--quiet",
        "--store", tmp_path / "store", "--jobs", "1", "--threads", "1", "--track", track,
        *(f"--set={each}" for each in overrides),
    ]  # fmt: skip
    environment = {**os.environ, "WANDB_DIR": str(folder)}
    process = subprocess.Popen(command, start_new_session=True, env=environment, cwd=folder)
    end = time.monotonic() + PATIENCE_SECONDS
    cells = tmp_path / "store" / "cells"
    while len(list(cells.glob("*/record.json"))) + len(list(cells.glob("*/*/record.json"))) < 4:
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "track" not in done.stderr
    result = lottery_ticket.load_run(done.stdout.strip(), store=tmp_path / "store")
    check_tracked(name, folder, result)
    assert (os.environ["TRACKIO_DIR"], Path.cwd()) == before


@pytest.mark.parametrize("name", READ)
def test_later_it_is_the_same(name, tracked, settled):
    """Sent once more, nothing is doubled, and nothing lacks."""
    tracked[0].track(next(each for each in places(settled) if each.startswith(name)))
    check_tracked(name, settled, tracked[0])


def test_a_search_is_there_in_each(settled, tracked):
    """Levels alone, of a loop that only the user knows; and its ticket."""
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    y = (x.sum(1) > 0).long()

    def train_fn(model, mask):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    def eval_fn(model):
        return (model(x).argmax(1) == y).float().mean().item()

    finder = lottery_ticket.LotteryTicketFinder(model_fn=lambda: torch.nn.Linear(8, 2))
    _, _, results = finder.find_winning_ticket(
        train_fn=train_fn, eval_fn=eval_fn, target_sparsity=0.5, pruning_rounds=3, verbose=False,
        name="quickstart", resume=Store(settled / "searches"), track=places(settled),
    )  # fmt: skip
    run = load_run(store=settled / "searches").id
    wanted = {row.level: row.metric for row in results.rows}
    assert len(wanted) == 4
    for name, read in READ.items():
        values = read(settled, results)[f"{run}-ticket-0"]
        accuracies = {step: value for key, step, value in values if key == "level/test_accuracy"}
        assert accuracies == pytest.approx(wanted), name
        assert max(values.values()) == 1, name


# what cannot be, said before anything runs


def test_nobody_is_logged_in(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="nobody is logged in here; call `wandb login`"):
        tiny(tmp_path, track="wandb")
    assert not (tmp_path / "store").exists()


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """A home in which nobody has logged in to wandb."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DIR", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("machine", "is_login"),
    [("example.org", False), ("api.wandb.ai", True), ("w.example.org", False)],
)
def test_a_login_is_one_at_the_server_of_wandb(machine, is_login, at_home, capfd):
    path = at_home / ".netrc"
    path.write_text(f"machine {machine} login user password {'b' * 40}\n")
    path.chmod(0o600)
    if is_login:
        chosen_trackers("wandb")
    else:
        with pytest.raises(UsageError, match="nobody is logged in here"):
            chosen_trackers("wandb")
    assert capfd.readouterr() == ("", "")


def test_a_login_at_a_server_of_ones_own(at_home, monkeypatch):
    path = at_home / ".netrc"
    path.write_text(f"machine w.example.org login user password {'b' * 40}\n")
    path.chmod(0o600)
    monkeypatch.setenv("WANDB_BASE_URL", "https://w.example.org")
    chosen_trackers("wandb")


def test_wandb_that_is_offline_in_this_folder_needs_no_login(at_home, capfd):
    (at_home / "wandb").mkdir()
    (at_home / "wandb" / "settings").write_text("[default]\nmode = offline\n")
    chosen_trackers("wandb")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "given",
    [
        ["tensorboard", "tensorboard=runs"],
        ["tensorboard=a/../runs", "tensorboard=runs"],
        ["mlflow=http://127.0.0.1:9", "mlflow=http://127.0.0.1:9/"],
        ["mlflow=sqlite:///here.db", "mlflow=sqlite:///./here.db"],
        ["trackio", "trackio"],
        ["wandb", "wandb=project"],
        ["wandb=project", "wandb=me/project"],
    ],
)
def test_one_place_under_two_spellings(given, settled):
    with pytest.raises(UsageError, match="may be one place"):
        chosen_trackers(given)


def test_two_places_are_two(settled):
    assert len(chosen_trackers(["tensorboard=a", "tensorboard=b", "wandb=p", "wandb=q"])) == 4


def test_mlflow_has_values_while_a_level_goes_on(tmp_path):
    """And keeps what it could not send for the next time."""
    from lottery_ticket.integrations.mlflow import MlflowTracker

    class AtOnce(MlflowTracker):
        send_seconds = 0.0

    whole = TrackedRun("demo-1", "demo-1", "demo-1", "demo")
    part = replace(whole, id="demo-1-ticket-0", arm="ticket", replicate=0)
    tracker = AtOnce(f"sqlite:///{tmp_path}/m.db")
    for run in (whole, part):
        tracker.start(run)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/m.db")
    experiment = client.get_experiment_by_name("demo").experiment_id
    (found,) = client.search_runs([experiment], "tags.lottery_arm = 'ticket'")

    def steps():
        return [each.step for each in client.get_metric_history(found.info.run_id, "training/x")]

    tracker.log(part, {"training/x": 1.0}, 1)
    assert steps() == [1]
    client.delete_run(found.info.run_id)
    with pytest.raises(mlflow.MlflowException):
        tracker.log(part, {"training/x": 2.0}, 2)
    client.restore_run(found.info.run_id)
    tracker.log(part, {"training/x": 3.0}, 3)
    assert sorted(steps()) == [1, 2, 3]


def test_wandb_takes_nothing_after_a_row_that_is_missing(settled):
    """It would refuse that row later."""
    from lottery_ticket.integrations.wandb import WandbTracker

    tracker, run = WandbTracker("demo"), TrackedRun("demo-2", "demo-2", "demo-2", "demo")
    tracker.start(run)
    tracker.log(run, {"training/x": 1.0}, 1)
    with pytest.raises(TypeError):
        tracker.log(run, {"level/x": 2.0, 2: 2.0}, 2)
    with pytest.raises(LotteryError, match="a row before it is missing"):
        tracker.log(run, {"training/x": 3.0}, 3)
    tracker.finish(run, False)
    (path,) = (settled / "wandb").glob("offline-run-*-demo-2/*.wandb")
    end = time.monotonic() + PATIENCE_SECONDS
    while "exit" not in (kinds := kinds_of(path)):  # its service writes it when it likes
        assert time.monotonic() < end, kinds
        time.sleep(0.05)
    assert kinds.count("history") == 1


def kinds_of(path: Path) -> list[str]:
    data = path.read_bytes() if path.exists() else b""
    return [r.WhichOneof("record_type") for r in wandb_records(path)] if data else []


@pytest.mark.parametrize(
    ("track", "said"),
    [
        ("tensorboard=FILE/events", "is no folder; name another one"),
        ("wandb=a/b/", "wanted PROJECT or ENTITY/PROJECT"),
        ("mlflow=sqlite:///FILE/x.db", "mlflow cannot be set up"),
    ],
)
def test_places_that_cannot_be(track, said, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UsageError, match=said):
        tiny(tmp_path, track=track.replace("FILE", str(tmp_path / "file")))
    assert not (tmp_path / "store").exists()


def test_a_server_that_is_gone_ends_nothing(tmp_path, monkeypatch, capsys):
    """Nothing listens there; the run goes on, and says so."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    result = tiny(tmp_path, track="mlflow=http://127.0.0.1:9")
    assert result.outcome.is_complete
    said = capsys.readouterr().err
    assert "track mlflow: start() failed" in said
    assert "the run goes on" in said
