"""What was run, from a real run; and the command that runs it again really does."""

import shlex

import pytest

import lottery_ticket
from lottery_ticket.report import run_facts
from lottery_ticket.spec import canonical, load_spec

TINY = ["replicates=1", "prune.levels=1", "train.duration=1ep", "model.hidden=[12, 8]"]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    store = tmp_path_factory.mktemp("facts") / "store"
    return lottery_ticket.run("quickstart", overrides=TINY, store=store, jobs=1, threads=1)


def spec_of(command, folder):
    """The spec that a shell command would run: its here-document is a file, its options are set."""
    lines = command.split("\n")
    if len(lines) > 1:
        name = shlex.split(lines[0])[2]
        assert lines[0] == f"cat > {name} <<'END'"
        assert lines[-2] == "END"
        (folder / name).write_text("\n".join(lines[1:-2]))
    run, *options = shlex.split(lines[-1])[1:]
    assert run == "run"
    source, *rest = options
    assert set(rest[::2]) <= {"--set"}
    return load_spec(folder / source if source.endswith(".yaml") else source, rest[1::2])


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("quickstart", []),
        ("quickstart", ["seed=3", "train.lr=0.05", "arms=[ticket, shuffled]"]),
        ("lenet-mnist", ["name=mine", "data.validation=5000"]),
        ("sin-regression", ["name=its-own", "prune.rate=0.5", "prune.levels=2"]),
    ],
)
def test_the_command_runs_the_same_spec(source, changes, result, tmp_path):
    from dataclasses import replace

    spec = load_spec(source, changes)
    record = replace(result.record, spec=canonical(spec))
    command = run_facts(result.store, record).command
    assert canonical(spec_of(command, tmp_path)) == canonical(spec)


def test_another_spec_is_caught(result, tmp_path):
    command = run_facts(result.store, result.record).command
    assert canonical(spec_of(command, tmp_path)) == result.record.spec
    wrong = command.replace("prune.levels=1", "prune.levels=2")
    assert canonical(spec_of(wrong, tmp_path)) != result.record.spec


def test_what_was_run(result):
    facts = run_facts(result.store, result.record)
    rows = dict(facts.rows)
    assert rows["run"] == result.id
    assert rows["data"] == "digits"
    assert rows["model"] == "LeNet300 (hidden=[12, 8]), 944 prunable weights in 3 layers"
    assert rows["replicates"] == "1, their seeds derived from seed 0"
    assert rows["trainings"] == "4 of 4 finished"
    assert rows["machine"].startswith("cpu")
    assert "1 thread per training" in rows["machine"]
    assert "torch " in rows["versions"]
    total = sum(row["train_seconds"] for row in result.rows)
    assert rows["time"].startswith(f"{total:,.0f} s of training")
    assert 'prune: {"criterion"' in facts.spec


def test_a_report_of_a_real_run(result, tmp_path):
    page = result.report(tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_text("utf-8") == page
    assert "<h1>Numbers, but no verdict</h1>" in page
    assert len(page) < 1_000_000
    assert result.report(format="markdown").startswith("## Numbers, but no verdict\n")
