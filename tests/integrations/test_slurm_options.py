"""What is said to Slurm: times, options, and what does not go together."""

import io
import math
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lottery_ticket.cli import main
from lottery_ticket.errors import UsageError
from lottery_ticket.integrations.slurm import WorkerArray, parse_sbatch_options, parse_time

counts = st.integers(0, 400)


@st.composite
def times(draw) -> tuple[str, int]:
    """A time as sbatch's manual has it, and its seconds."""
    hours, sixtieths = st.integers(0, 23), st.integers(0, 59)
    minutes, seconds = draw(sixtieths), draw(sixtieths)
    form = draw(st.sampled_from(["M", "M:S", "H:M:S", "D-H", "D-H:M", "D-H:M:S"]))
    first = draw(counts) + 2
    text, *units = {
        "M": (f"{first}", (first, 60)),
        "M:S": (f"{first}:{seconds:02}", (first, 60), (seconds, 1)),
        "H:M:S": (f"{first}:{minutes:02}:{seconds:02}", (first, 3600), (minutes, 60), (seconds, 1)),
        "D-H": (f"{first}-{(hour := draw(hours))}", (first, 86400), (hour, 3600)),
        "D-H:M": (f"{first}-{hour}:{minutes:02}", (first, 86400), (hour, 3600), (minutes, 60)),
        "D-H:M:S": (
            f"{first}-{hour}:{minutes:02}:{seconds:02}",
            *((first, 86400), (hour, 3600), (minutes, 60), (seconds, 1)),
        ),
    }[form]
    return text, sum(count * unit for count, unit in units)


def check_times(parse) -> None:
    """The law: a time is read as Slurm reads it, and rounded up to the minute as Slurm does."""

    @settings(report_multiple_bugs=False)
    @given(times())
    @example(("3:00", 180))
    @example(("1-2", 26 * 3600))
    @example(("2:30:00", 9000))
    def check(time):
        text, seconds = time
        assert parse(text) == math.ceil(seconds / 60), text

    check()


def test_times_are_read_as_slurm_reads_them():
    check_times(parse_time)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda text: parse_time(text) - 1,
        lambda text: parse_time(text.replace("-", ":")),
        lambda text: parse_time(f"{text}:00" if text.count(":") == 1 else text),
    ],
    ids=["rounded down", "days are hours", "minutes are hours"],
)
def test_times_read_otherwise_are_caught(wrong):
    with pytest.raises((AssertionError, UsageError)):
        check_times(wrong)


@pytest.mark.parametrize(
    "text", ["", "4h", "-5", "1:2:3:4", "1-", "1-25", "1:61:00", "5:60", "1" * 5000, "٤:٠٠:٠٠"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(UsageError, match="not a time; write H:MM:SS"):
        parse_time(text)


@pytest.mark.parametrize("text", ["0", "1", "1:59", "0:01:59"])
def test_a_time_too_short_to_work_in_is_refused(text):
    with pytest.raises(UsageError, match="wanted at least 2 minutes"):
        parse_time(text)


def test_options_are_those_of_sbatch():
    given = ["gres=gpu:1", "cpus-per-task=4", "exclusive", "comment=a=b c", "mail-user="]
    assert parse_sbatch_options(given) == {
        "gres": "gpu:1", "cpus_per_task": "4", "exclusive": True, "comment": "a=b c",
        "mail_user": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["=gpu"], "write KEY=VALUE"),
        (["--partition=gpu"], "write KEY=VALUE"),
        (["comment=a\n#SBATCH --uid=0"], "write KEY=VALUE"),
        (["qos=a", "qos=b"], "qos is given twice"),
        (["time=4:00:00"], "leave time out; --time says how long"),
        (["array=0-9"], "leave array out; --workers says how many"),
        (["ntasks-per-node=2"], "leave ntasks-per-node out; each worker is one task"),
        (["signal=USR1@10"], "leave signal out"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        parse_sbatch_options(options)


def called(*arguments: object) -> tuple[int, str, str]:
    """How `lottery ARGUMENTS` ended, and what it printed."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["lottery", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.getvalue(), " ".join(err.getvalue().split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", 4], "--workers: goes with --slurm"),
        (["--time", "4:00:00"], "--time: goes with --slurm"),
        (["--print-sbatch"], "--print-sbatch: goes with --slurm"),
        (["--jobs", 4], "--jobs: goes with --slurm"),
        (["--per-device", 4], "--per-device: goes with --slurm"),
        (["--device", "cuda"], "--device: goes with --slurm"),
        (["--slurm", "partition=gpu"], "say with --time how long"),
        (["--slurm", "time=5", "--time", "4:00:00"], "leave time out"),
        (["--slurm", "partition=gpu", "--time", "soon"], "--time soon: not a time"),
    ],
)
def test_wrong_usage_exits_with_2_before_any_work(options, message, tmp_path):
    code, out, err = called("submit", "quickstart", "--store", tmp_path / "store", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "store").exists()


def test_without_submitit_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    message = r"needs submitit, not installed here: pip install 'lottery-ticket\[slurm\]'"
    with pytest.raises(UsageError, match=message):
        WorkerArray(num_workers=1, minutes=10)
    options = ["--slurm", "partition=gpu", "--time", "10", "--store", tmp_path / "store"]
    code, _, err = called("submit", "quickstart", *options)
    assert (code, "lottery-ticket[slurm]" in err) == (2, True)
    assert not (tmp_path / "store").exists()
