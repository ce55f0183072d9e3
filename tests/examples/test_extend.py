"""What users add lies outside the package: each example in a few lines, by the command it shows.

Law 15: what a user registers works wherever the library's own does.
"""

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lottery_ticket.api import load_run
from lottery_ticket.cli import main
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import import_user_code
from lottery_ticket.masks import MaskPolicy, PruningMask

EXTEND = Path(__file__).parents[2] / "examples" / "extend"
SHORT = ["replicates=2", "prune.levels=2", "train.duration=2ep", "train.batch_size=128"]
FILES = sorted(path.name for path in EXTEND.glob("*.py"))
DRAWN = ["arm.py", "metric.py", "policy.py"]  # what tables, figures and reports know of
RUN = [name for name in FILES if name != "probe.py"]  # that looks at a run which is there


def lottery(*arguments):
    """What a command prints; one that fails is an error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lottery", *map(str, arguments)])
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    assert not ended.value.code, err.getvalue()
    return out.getvalue()


def command_of(name: str) -> list[str]:
    """The command that an example shows."""
    text = (EXTEND / name).read_text(encoding="utf-8")
    found = re.search(r"^ *lottery (run .*?[^\\])$", text, re.M | re.S)
    assert found is not None
    return shlex.split(found[1].replace("\\\n", " "))


def short(name: str, file: Path) -> list[str]:
    """The same in a short form, of an example that lies elsewhere."""
    command = command_of(name)
    command[command.index("--import") + 1] = str(file)
    return [*command, *(part for change in SHORT for part in ("--set", change))]


@pytest.fixture
def runs(shared_folder, forgotten, tmp_path):
    """An example's command was run once, in a short form; its code is known while the test lasts.

    It is imported from a copy, since a file that was imported is not imported again.
    """

    def run(name):
        copy = shutil.copy(EXTEND / name, tmp_path)
        store = shared_folder(
            f"extend-{name}",
            lambda store: lottery(*short(name, copy), "--store", store, "--quiet", "--jobs", 1),
        )
        import_user_code([str(copy)])
        return load_run(store=store)

    return run


@pytest.mark.parametrize("name", FILES)
def test_each_is_short_and_touches_nothing_of_the_package(name):
    text = (EXTEND / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 30
    assert not re.search(r"\._[a-z]", text)  # nothing private


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in DRAWN else [pytest.mark.slow]) for name in RUN],
)
def test_each_runs_and_is_judged_drawn_reported_and_exported(name, runs, tmp_path):
    result = runs(name)
    assert result.outcome is None
    assert len(result.rows) == 3 * 2 * len(result.record.spec["arms"])
    assert all(row["num_kept"] == row["num_prunable"] for row in result.rows if not row["level"])
    assert result.verdict().label
    assert result.plot(tmp_path / "figures", formats=["png"])
    assert "<html" in result.report()
    result.export(2, format="state_dict", out=tmp_path / "model")
    assert any(path.stat().st_size > 10_000 for path in (tmp_path / "model").iterdir())


@pytest.mark.parametrize("name", RUN)
def test_its_source_is_in_the_names_of_what_it_decides(name, runs, tmp_path):
    """Another text is another result: nothing of the first run is taken for the second."""
    first = runs(name)
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / name
    copy.write_text((EXTEND / name).read_text(encoding="utf-8") + "\n# another text\n")
    planned = lottery("plan", *short(name, copy)[1:], "--store", first.store.root, "--json")
    cells = {cell["cell"]: cell for cell in json.loads(planned)["cells"]}
    shared = set(cells) & first.record.cells()
    assert len(shared) < len(first.record.cells())
    assert all(not cells[cell]["level"] or cells[cell]["arm"] != "flipped" for cell in shared)


def test_a_policy_that_scores_by_no_criterion_goes_with_any(forgotten, tmp_path):
    from lottery_ticket import load_spec
    from lottery_ticket.api import prepare

    import_user_code([str(shutil.copy(EXTEND / "policy.py", tmp_path))])
    for arm, is_fine in (("rewired", True), ("gradual", False)):
        changes = [f"arms=[ticket, reinit, {arm}]", "prune.criterion=snip"]
        refused = pytest.raises(UsageError, match="criterion 'snip' needs batch_loss and batch")
        with contextlib.nullcontext() if is_fine else refused:
            prepare(load_spec("quickstart", changes), store=tmp_path / "store")


def test_workers_get_what_a_script_registers(runs, tmp_path):
    """Code that no module holds is sent to them."""
    text = (EXTEND / "arm.py").read_text(encoding="utf-8")
    script = tmp_path / "script.py"
    spec = {
        "name": "script", "data": {"name": "digits"},
        "model": {"name": "LeNet300", "hidden": [20, 10]},
        "train": {"lr": 0.1, "batch_size": 128, "duration": "1ep"},
        "prune": {"rate": 0.5, "levels": 1}, "arms": ["ticket", "flipped"],
    }  # fmt: skip
    script.write_text(
        f"{text}\nfrom lottery_ticket import run\n"
        f"if __name__ == '__main__':\n"
        f"    result = run({spec!r}, store='store', jobs=2, progress=False)\n"
        "    assert result.outcome.is_complete, result.outcome.failures\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


# what each of them does, held against torch by itself


def test_flipped_starts_from_the_ticket_with_a_tenth_of_its_signs_flipped(runs):
    result = runs("arm.py")
    weights = {
        arm: result.store.get(row["cell"]).results["initial_sha256"]
        for row in result.rows
        for arm in [row["arm"]]
        if row["level"] == 1 and row["replicate"] == 0
    }
    assert len(set(weights.values())) == 3
    masks = {arm: result.masks(arm) for arm in ("ticket", "flipped")}
    one, other = (
        {(p.level, p.replicate): mask for p, mask in found.items()} for found in masks.values()
    )
    assert one == other


def test_a_metric_is_the_mean_of_its_examples_and_decides(runs):
    result = runs("metric.py")
    verdict = result.verdict()
    assert verdict.metric.column == "test_metric"
    assert verdict.metric.label == "test top2"
    assert all(row["test_metric"] >= row["test_accuracy"] for row in result.rows)
    assert verdict.contrasts["image_low"].notna().any()


def test_a_criterion_sees_what_it_asks_for(runs):
    """The mask of level 1 is that of the scores of the trained dense net."""
    from lottery_ticket.criteria import CRITERIA, score
    from lottery_ticket.data import load_dataset
    from lottery_ticket.models import build
    from lottery_ticket.seeds import derive, generator

    result = runs("criterion.py")
    row = next(r for r in result.record.rows if (r.arm, r.level, r.replicate) == ("ticket", 1, 0))
    record = result.store.get(row.mask)
    assert record.inputs["criterion_options"] == {"power": 0.5}
    criterion = CRITERIA["per_input"].with_options({"power": 0.5})
    from lottery_ticket.experiment import read_mask, read_weights

    dense = read_weights(result.store, record.inputs["parents"]["weights"])
    model = build("LeNet300", 0, input_size=64, num_classes=10, hidden=[100, 50])
    data, root = load_dataset("digits").train, derive(0, "replicate", 0)
    rows = torch.randperm(len(data), generator=generator(derive(root, "mask", "examples")))[:100]
    scores = score(
        criterion, model=model, weights=dense, mask=PruningMask(model),
        batches=[(data.x[rows], data.y[rows])],
    )  # fmt: skip
    mask = read_mask(result.store, row.mask)
    kept = torch.cat([scores[name][mask[name]] for name in mask])
    pruned = torch.cat([scores[name][~mask[name]] for name in mask])
    assert kept.min() >= pruned.max()


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"mask": "tickets"}, "mask: got 'tickets', wanted a function, or one of: own, ticket"),
        ({"weights": "scaled"}, "weights: got 'scaled', wanted a function, or one of: initial"),
        ({"pipeline": "imp"}, "pipeline: got 'imp', wanted"),
        ({"mask": "at_init"}, "mask 'at_init' wants the name of a criterion"),
        ({"color": "blurple"}, "color: got 'blurple', wanted one such as '#0072B2'"),
        ({"marker": "zz"}, "marker: got 'zz', wanted one of o s H"),
        ({"marker": "os"}, "marker: got 'os', wanted one of o s H"),
        ({"weights": "fresh", "pipeline": "rewind"}, "pipeline 'rewind' takes weights from"),
        ({"mask": "during"}, "mask 'during' and the name of a policy go together"),
    ],
)
def test_an_arm_of_unknown_parts_is_refused(keywords, said):
    from lottery_ticket import register_arm

    with pytest.raises(UsageError, match=f"arm 'wrong': {said}"):
        register_arm("wrong", **keywords)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda target: target.budget, "policy 'wrong' cannot be made: AttributeError"),
        (lambda target: 3, "policy 'wrong': got a int, wanted a MaskPolicy"),
        (lambda target: type("Mute", (MaskPolicy,), {})(), "cannot be made: TypeError.*next_mask"),
    ],
)
def test_a_policy_that_is_none_is_said_before_anything_trains(make, said, tmp_path, forgotten):
    from lottery_ticket import load_spec, register_arm, register_policy
    from lottery_ticket.api import prepare

    register_policy("wrong")(make)
    register_arm("wrong", mask="during", policy="wrong")
    spec = load_spec("quickstart", ["arms=[ticket, reinit, wrong]"])
    with pytest.raises(UsageError, match=said):
        prepare(spec, store=tmp_path / "store")
