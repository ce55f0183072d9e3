"""Law 13 over Ray, and what becomes of a run when its workers, its nodes or its caller go.

Ray listens on every address of a machine: these run where there is none but the loopback
(`make ray`), and are skipped elsewhere.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from test_executors import check_executor, check_group
from test_executors import undisturbed as undisturbed
from tiny_runs import TINY, digests, planned
from tiny_runs import tiny as tiny

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import Context, Observer, import_user_code, run_plan
from lottery_ticket.experiment.executors.chosen import Place, chosen_executor
from lottery_ticket.experiment.executors.ray_cluster import Ray
from lottery_ticket.spec import spec_from_mapping
from lottery_ticket.store import Store

if {name for _, name in socket.if_nameindex()} != {"lo"}:
    pytest.skip("there are addresses that Ray would listen on: `make ray`", allow_module_level=True)
ray = pytest.importorskip("ray")

# of Ray's own: sockets and files that it leaves to the end of the process
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")

PATIENCE_SECONDS = 120.0
NO_DASHBOARD = {"include_dashboard": False}

NET = """
import os, time
from pathlib import Path
from torch import nn
from lottery_ticket import register_model
import ray_net_head

FOLDER = Path({folder!r})

@register_model("Watched")
def watched(input_size: int = 64, num_classes: int = 10):
    from ray_net_head import head
    look()
    return nn.Sequential(nn.Flatten(), head(input_size, num_classes))

def look():
    try:
        os.rename(FOLDER / "die", FOLDER / "died")
    except OSError:
        pass
    else:
        os._exit(1)
    try:
        os.rename(FOLDER / "hang", FOLDER / "hung")
    except OSError:
        return
    while True:  # until its node is gone
        time.sleep(.01)
"""
HEAD = """
from torch import nn
def head(width, classes):
    return nn.Sequential(nn.Linear(width, 12), nn.ReLU(), nn.Linear(12, classes))
"""
WATCHED = TINY | {"model": {"name": "Watched"}, "arms": ["ticket", "random"], "replicates": 2}


@contextlib.contextmanager
def cluster(num_cpus: int) -> Iterator:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": num_cpus} | NO_DASHBOARD)
    try:
        yield made
    finally:
        made.shutdown()


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[str]:
    with cluster(2) as made:
        yield made.address


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A file of the user's, beside another, and the digests of a run on one machine."""
    folder = tmp_path_factory.mktemp("watched")
    file = folder / "ray_net.py"
    file.write_text(NET.format(folder=str(folder)))
    (folder / "ray_net_head.py").write_text(HEAD)
    import_user_code([str(file)])
    run_plan(planned(spec_from_mapping(WATCHED)), Store(folder / "s"), Context(Store(folder / "s")))
    return file, digests(folder / "s")


def wait_for(path: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


def run_watched(folder: Path, file: Path, address: str, observer: Observer | None = None):
    context = Context(Store(folder), imports=(str(file),))
    return run_plan(
        planned(spec_from_mapping(WATCHED)),
        Store(folder),
        context,
        executor=partial(Ray, address=address),
        observer=observer,
    )


class Notes(Observer):
    """What was said; what is named is touched once the run has begun."""

    def __init__(self, touched: Path) -> None:
        self.said: list[str] = []
        self._touched = touched

    def begin(self, plan, finished, store) -> None:
        self._touched.touch()

    def note(self, message: str) -> None:
        self.said.append(message)


def test_a_run_has_the_same_bytes(tmp_path, undisturbed, two_cpus):
    check_executor(partial(Ray, address=two_cpus), tmp_path, undisturbed)
    assert not ray.is_initialized()


def test_of_a_group_each_cell_has_an_outcome(tmp_path, tiny, two_cpus):
    check_group(partial(Ray, address=two_cpus), tmp_path, tiny)


def test_a_worker_that_dies_takes_its_own_cell_alone(tmp_path, watched, two_cpus):
    file, expected = watched
    notes = Notes(file.with_name("die"))
    outcome = run_watched(tmp_path, file, two_cpus, notes)
    assert file.with_name("died").exists()
    assert outcome.is_complete
    assert [said for said in notes.said if "its worker process died" in said]
    assert digests(tmp_path) == expected


def test_a_node_that_dies_takes_nothing_with_it(tmp_path, watched):
    file, expected = watched
    notes = Notes(file.with_name("hang"))
    with ThreadPoolExecutor(1) as threads, cluster(0) as made:
        node = made.add_node(num_cpus=1, **NO_DASHBOARD)
        running = threads.submit(run_watched, tmp_path, file, made.address, notes)
        wait_for(file.with_name("hung"))
        made.add_node(num_cpus=2, **NO_DASHBOARD)
        made.remove_node(node)
        outcome = running.result(timeout=PATIENCE_SECONDS)
    assert outcome.is_complete
    assert any("the machine it was on is gone" in said for said in notes.said)
    assert not any("its worker process died" in said for said in notes.said)
    assert digests(tmp_path) == expected


def test_code_travels_from_the_senders_disk(tmp_path, watched, two_cpus):
    """It is deleted here before any cell is made there."""
    file, expected = watched
    made = planned(spec_from_mapping(WATCHED))
    store = Store(tmp_path / "s")
    store.open_for_writing()
    dense = next(cell for cell in made.cells.values() if not cell.parents)
    context = Context(Store(tmp_path / "s"), imports=(str(file),))
    with Ray(context, address=two_cpus) as executor:
        for path in (file, file.with_name("ray_net_head.py")):
            shutil.move(path, tmp_path)
        try:
            told = executor.submit([dense], [{}]).result(timeout=PATIENCE_SECONDS)
        finally:
            for path in (file, file.with_name("ray_net_head.py")):
                shutil.move(tmp_path / path.name, path)
    assert [outcome.status for outcome in told] == ["made"], told
    assert digests(tmp_path / "s").items() <= expected.items()


def test_a_failing_import_is_said_before_work(tmp_path, two_cpus):
    file = tmp_path / "ray_fails.py"
    file.write_text("import os\nif os.environ.get('OMP_NUM_THREADS') == '2': 1 / 0\n")
    store = Store(tmp_path / "s")
    store.open_for_writing()
    context = Context(Store(tmp_path / "s"), imports=(str(file),), threads=2)
    said = r"a node cannot make cells: --import \./ray_fails\.py: ZeroDivisionError"
    with pytest.raises(UsageError, match=said), Ray(context, address=two_cpus):
        pass
    assert not ray.is_initialized()


def test_what_was_initialised_already_is_used_and_left(tmp_path, undisturbed, two_cpus):
    ray.init(address=two_cpus, log_to_driver=False, configure_logging=False)
    try:
        check_executor(Ray, tmp_path, undisturbed)
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_what_cannot_be_is_said_before_work(tmp_path, two_cpus):
    Store(tmp_path).open_for_writing()
    wrong = {
        "no cluster can be used at '127.0.0.1:1'": (Context(Store(tmp_path)), "127.0.0.1:1"),
        "no cluster can be used at 'nowhere at all'": (Context(Store(tmp_path)), "nowhere at all"),
        r"a cell needs 1 CPU and 1 GPU at once .* there are: 2 CPU and 0 GPU": (
            Context(Store(tmp_path), device="cuda"), two_cpus,
        ),
        "a cell needs 3 CPU at once": (Context(Store(tmp_path), threads=3), two_cpus),
    }  # fmt: skip
    for said, (context, address) in wrong.items():
        with pytest.raises(UsageError, match=said), Ray(context, address=address):
            pass
        assert not ray.is_initialized()
    with pytest.raises(UsageError, match=r"device: got 'cuda:1'.* Ray chooses the card"):
        Ray(Context(Store(tmp_path), device="cuda:1"))


def test_a_signal_does_what_it_did(tmp_path, two_cpus):
    """Law 16: Ray handles SIGTERM its own way."""
    before = signal.getsignal(signal.SIGTERM), dict(os.environ), list(sys.path)
    Store(tmp_path).open_for_writing()
    with Ray(Context(Store(tmp_path)), address=two_cpus) as executor:
        assert executor.slots == 3
        assert signal.getsignal(signal.SIGTERM) is before[0]
    assert (signal.getsignal(signal.SIGTERM), dict(os.environ), list(sys.path)) == before


def test_jobs_bound_what_runs_at_a_time(tmp_path, two_cpus):
    Store(tmp_path).open_for_writing()
    for jobs, slots in ((1, 1), (9, 3)):
        choose = chosen_executor("ray", Place(jobs=jobs, address=two_cpus))
        assert choose is not None
        with choose(Context(Store(tmp_path))) as executor:
            assert executor.slots == slots


def test_ctrl_c_keeps_what_is_in_progress_and_the_same_command_continues(tmp_path, two_cpus):
    command = [
        sys.executable, "-m", "lottery_ticket.cli", "run", "quickstart", "--store", "s",
        "--executor", "ray", "--address", two_cpus,
        "--set", "replicates=1", "--set", "prune.levels=1",
    ]  # fmt: skip
    long = [*command, "--set", "train.duration=60000ep"]
    with subprocess.Popen(
        long, cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE
    ) as run:
        end = time.monotonic() + PATIENCE_SECONDS
        while not list((tmp_path / "s").glob("work/*/checkpoint*")):
            assert run.poll() is None, run.stderr.read().decode()
            assert time.monotonic() < end
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 130, said.decode()
    assert "Traceback" not in said.decode()
    assert Store(tmp_path / "s").work_names()
