"""Closed and full streams, folders that are gone, and paths that nothing can have."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml_specs

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.files import usable_path, writing
from lottery_ticket.progress import observer
from lottery_ticket.spec import preset_names
from lottery_ticket.streams import StandardError

LOTTERY = f"{sys.executable} -m lottery_ticket.cli"
POSIX = pytest.mark.skipif(os.name == "nt", reason="these are streams of POSIX shells")


def shell(command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=100, **options
    )


@POSIX
@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        (">&-", 1, "error: standard output: cannot be written (Bad file descriptor)"),
        (">&- 2>&-", 1, ""),
        ("2>&- <&-", 0, ""),
        pytest.param(
            "> /dev/full",
            1,
            "error: standard output: cannot be written (No space left on device)",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it"),
        ),
    ],
)
@pytest.mark.parametrize("command", ["presets", "presets quickstart"])
def test_what_cannot_be_printed_is_said(command, ending, code, said):
    done = shell(f"{LOTTERY} {command} {ending}")
    assert (done.returncode, done.stderr.strip()) == (code, said)


@POSIX
def test_a_reader_that_has_enough_ends_it_quietly():
    done = shell(f"{LOTTERY} presets | true; exit ${{PIPESTATUS[0]}}")
    assert done.returncode in (0, 1)  # it may have printed all before
    assert not done.stderr


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("ending", [">&-", "2>&-", "2> /dev/full", ">&- 2>&- <&-", "2>&1 | true"])
def test_a_run_is_finished_whoever_listens(ending, tmp_path):
    spec = yaml_specs.write(tmp_path)
    shell(f"{LOTTERY} run {spec} --store {tmp_path}/store --jobs 2 {ending}")
    done = shell(f"{LOTTERY} list --store {tmp_path}/store --json")
    assert '"finished": 3' in done.stdout


@POSIX
def test_a_folder_that_is_gone_is_said(tmp_path):
    gone = tmp_path / "gone"
    done = shell(f"mkdir {gone} && cd {gone} && rmdir {gone} && {LOTTERY} presets")
    assert done.returncode == 1
    assert done.stderr.startswith("error: the current folder cannot be found")


@POSIX
@pytest.mark.slow
def test_a_run_stops_when_the_folder_for_temporary_files_was_cleaned(tmp_path):
    spec, store, temporary = yaml_specs.write(tmp_path, "300ep"), tmp_path / "store", tmp_path / "t"
    temporary.mkdir()
    command = [*LOTTERY.split(), "run", spec, "--store", store, "--jobs", "1", "--threads", "1"]
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as run:
        while not list(store.glob("work/*/progress.json")):
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(0.05)
            assert run.returncode is None
        for path in temporary.iterdir():
            with contextlib.suppress(OSError):
                path.unlink() if path.is_file() else path.rmdir()
        temporary.rmdir()
        run.send_signal(signal.SIGTERM)
        assert run.wait(100) == 130
        assert run.stderr is not None
        said = run.stderr.read().decode()
    assert "stopped; what was in progress is kept" in said
    assert "Traceback" not in said
    assert list(store.glob("work/*/checkpoint"))
    assert not list(store.glob("work/.stop-*"))


# paths

LONG = "x" * 300
NAMES = {"too long": LONG, "too deep": "y/" * 2500, "below a file": "file/x", "a file": "file"}
# command → where a path stands
COMMANDS = {
    "list --store": "list --store {}",
    "verify --store": "verify --store {}",
    "gc --store": "gc --store {}",
    "table --store": "table --store {}",
    "verdict --store": "verdict --store {}",
    "report --store": "report --store {}",
    "plot --store": "plot --store {}",
    "rm --store": "rm tiny --store {}",
    "plan --store": "plan quickstart --store {}",
    "run --store": "run quickstart --store {}",
    "plan SPEC": "plan {}",
    "plan SPEC.yaml": "plan {}.yaml",
    "table RUN": "table {}",
    "export RUN": "export {} --level 1 --out out",
    "report --out": "report --out {}/page.html",
    "plot --out": "plot --out {}",
    "export --out": "export last --level 1 --out {}/model.safetensors",
    "compare --out": "compare last --out {}/figure.png",
    "bench-export --out": "bench-export last --level 1 --no-memory --no-compiled --seconds 0.001 "
    "--format packed --out {}",
    "doctor --data-dir": "doctor --data-dir {}",
    "plan --data-dir": "plan lenet-mnist --data-dir {}",
    "plan --import": "plan quickstart --import {}.py",
    "plan data.path": "plan quickstart --set data={{name:arrays,path:{}.npz}}",
}
# a path that is not there, which is no error
FINE = {("doctor --data-dir", "below a file"), ("doctor --data-dir", "a file")}
SLOW = ("bench-export --out",)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "where", [pytest.param(w, marks=pytest.mark.slow) if w in SLOW else w for w in COMMANDS]
)
def test_paths_that_cannot_be_are_said(where, name, ready, tmp_path):
    (tmp_path / "file").write_text("a file")
    arguments = [part.format(NAMES[name]) for part in COMMANDS[where].split()]
    if where == "plan data.path":
        arguments[-1] = f"data={{name: arrays, path: {NAMES[name]}.npz}}"
    said = ready(*arguments)  # what would be a traceback fails
    if (where, name) in FINE:
        assert said.code == 0
    else:
        assert said.code in (1, 2)
        assert said.err.startswith("error: ")
    assert (tmp_path / "file").read_text() == "a file"


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "~nobody-of-this-name/x", LONG])
def test_what_nothing_can_be_called_is_refused(path):
    with pytest.raises(UsageError, match=r"store: got .* which nothing can be called") as caught:
        usable_path(path, "store")
    assert len(str(caught.value)) < 250


def test_what_is_not_there_is_a_path(tmp_path):
    for path in (tmp_path / "not" / "there", Path(), Path("/")):
        assert usable_path(path, "out") == path
    with (
        pytest.raises(LotteryError, match="cannot be written"),
        writing(tmp_path / "not" / "there") as path,
    ):
        path.write_text("")


# standard error


class Gone:
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError

    def isatty(self) -> bool:
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("stream", [None, Gone()])
def test_what_nobody_reads_is_lost(stream, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", stream)
    StandardError().write("lost")
    StandardError().flush()
    assert not StandardError().isatty()
    with observer() as watching:
        watching.note("lost")
    with observer(is_quiet=True) as watching:
        watching.note("lost")
    assert not capsys.readouterr().out


def test_the_data_of_presets_are_told_without_reading_them():
    from lottery_ticket.spec import load_spec, preset_data

    assert {name: preset_data(name) for name in preset_names()} == {
        name: load_spec(name).data.name for name in preset_names()
    }


def test_the_plan_is_that_of_the_run_with_the_same_options(lottery):
    plans = [
        lottery("plan", "quickstart", "--json", *options).out
        for options in ((), ("--jobs", 1, "--threads", 1, "--device", "cpu"))
    ]
    told = [json.loads(plan) for plan in plans]
    assert told[0]["cells"] == told[1]["cells"]
    assert lottery("plan", "quickstart", "--jobs", 0).code == 2
    assert lottery("plan", "quickstart", "--device", "abacus").code == 2
    printed = lottery("plan", "quickstart", "--jobs", 3, "--threads", 1).out
    assert "3 at a time" in printed


INTERRUPTED = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class At:
    def find_spec(self, name, *_):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, At())
if {again}:
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
from lottery_ticket.cli import main
sys.argv = ["lottery", "presets"]
main()
"""


@POSIX
@pytest.mark.parametrize("name", ["typer", "lottery_ticket.store", "lottery_ticket.spec"])
@pytest.mark.parametrize("again", [False, True])
def test_a_ctrl_c_at_the_start_is_no_traceback(name, again):
    """While commands load, and while one works; the next one ends it without a word."""
    code = INTERRUPTED.format(name=name, again=again)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stderr.strip() in ("", "error: stopped; the same command continues")
    assert done.returncode == (-signal.SIGINT if again else 130)
