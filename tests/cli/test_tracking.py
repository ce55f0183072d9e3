"""`lottery run --track` and `lottery track`."""

import json
from pathlib import Path

import pytest
from tiny_command import TINY

TRACKER = Path(__file__).parents[1] / "tracking" / "line_tracker.py"


def told(path: Path) -> list[tuple]:
    """What was logged, but for how long things took."""
    lines = map(json.loads, path.read_text().splitlines())
    return sorted(
        (line["run"], line["name"], line["step"], line["value"])
        for line in lines
        if line["method"] == "log" and "seconds" not in line["name"]
    )


@pytest.fixture
def own(lottery, forgotten):
    """Calls commands that know a tracker of a user's own."""
    return lambda *arguments: lottery(*arguments, "--import", TRACKER)


def test_a_run_is_tracked_by_two_at_once(own, tmp_path):
    said = own(*TINY, "--track", "lines=one.jsonl", "--track", "lines=two.jsonl")
    assert (said.code, "track" in said.err) == (0, False)
    assert told(tmp_path / "one.jsonl") == told(tmp_path / "two.jsonl")
    assert len(told(tmp_path / "one.jsonl")) > 50


def test_a_finished_one_is_sent(own, tmp_path):
    run = own(*TINY, "--quiet", "--track", "lines=live.jsonl").out.strip()
    said = own("track", run, "--to", "lines=later.jsonl", "--to", "lines")
    assert said.code == 0
    assert said.out == f"{run}: 6 of 6 trainings sent to lines, lines\n"
    assert told(tmp_path / "later.jsonl") == told(tmp_path / "live.jsonl")
    assert told(tmp_path / "lines.jsonl") == told(tmp_path / "live.jsonl")


def test_what_is_there_already_is_not_sent_again(own, tmp_path):
    own(*TINY, "--track", "lines")
    before = told(tmp_path / "lines.jsonl")
    assert own("track", "last", "--to", "lines").code == 0
    assert told(tmp_path / "lines.jsonl") == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("wandbb", "unknown tracker 'wandbb'; did you mean 'wandb'?"),
        ("zq", "your own: lottery_ticket.register_tracker, in a module given by --import"),
        ("lines=", "'lines=' says no place; write lines=PLACE, or lines"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(given, said, own, tmp_path):
    ended = own(*TINY, "--track", given)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (tmp_path / "store").exists()


def test_a_place_that_cannot_be_written_ends_no_run(own, tmp_path):
    (tmp_path / "file").write_text("no folder")
    said = own(*TINY, "--track", f"lines={tmp_path}/file/lines.jsonl")
    assert said.code == 0
    assert "track lines: start() failed (NotADirectoryError" in said.err
    assert "the run goes on" in said.err
    ended = own("track", "last", "--to", f"lines={tmp_path}/file/lines.jsonl")
    assert ended.code == 1
    assert "error:" in ended.err
    assert "not all of it was sent to lines" in ended.err


def test_where_nothing_is_run_there_is_no_such_option(lottery):
    for command in ("plan", "submit"):
        said = lottery(command, "quickstart", "--track", "mlflow")
        assert said.code == 2
        assert "No such option" in said.err


def test_where_to_is_asked_for(lottery):
    assert "Missing option '--to'" in lottery("track", "last").err
