"""What is written is true: examples run, commands are documented, numbers are those measured."""

import contextlib
import doctest
import importlib
import importlib.util
import io
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import lottery_ticket

ROOT = Path(__file__).parent.parent
MODULES = [
    module.name
    for module in pkgutil.walk_packages(lottery_ticket.__path__, "lottery_ticket.")
    if not module.name.endswith("__main__")
]
PAGES = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_every_command_is_documented():
    from lottery_ticket.cli import app

    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert f"`lottery {command.name}" in text


def test_every_spec_key_is_documented():
    from lottery_ticket.spec import PruneSpec, TrainSpec

    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    for record in (TrainSpec, PruneSpec):
        for key in record.model_fields:
            assert key in text, key


def test_code_in_docs_runs(tmp_path, monkeypatch):
    from lottery_ticket.api import run

    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(# mine.py.*?)```", text, re.S)[0]
    yaml = re.findall(r"```yaml\n(data: {name: parity.*?)```", text, re.S)[0]
    (tmp_path / "mine.py").write_text(code)
    rest = "train: {lr: 0.1, batch_size: 32, duration: 1ep}\nprune: {rate: 0.5, levels: 1}\n"
    (tmp_path / "my.yaml").write_text(f"name: mine\n{yaml}{rest}")
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path / "my.yaml", store=tmp_path / "store", jobs=1, imports=["mine.py"])
    assert len(result.rows) == 2


def check_prints(shown, printed):
    """The same words, and numbers that another machine's rounding explains; times do not count."""
    number = re.compile(r"\d[\d,]*(?:\.\d+)?")
    texts = [re.sub(r"\d[\d.]* s\b", "", text) for text in (shown, printed)]
    words = [number.sub("#", text).replace("+", "−").split() for text in texts]
    assert words[0] == words[1]
    found = [number.findall(text) for text in texts]
    for wanted, got in zip(*found, strict=True):
        value, other = (float(text.replace(",", "")) for text in (wanted, got))
        # a point or two of accuracy, or 2 % of a count
        margin = {"rel": 0.1, "abs": 1.5} if "." in wanted else {"rel": 0.02}
        assert other == pytest.approx(value, **margin), f"{wanted} in:\n{shown}"


def run_page(text):
    """Run a page's Python blocks in one namespace; what stands below a block is what it prints."""
    block = r"```python\n(.*?)```\n(?:\n```text\n(.*?)```|\n(\|.*?\n)\n)?"
    names, num_compared = {}, 0
    for code, *shown in re.findall(block, text, re.S):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        if expected := "".join(shown):
            check_prints(expected, printed.getvalue())
            num_compared += 1
        else:
            assert not printed.getvalue(), f"prints what the page does not show:\n{code}"
    return num_compared


@pytest.mark.parametrize(
    ("page", "num_outputs"),
    [
        ("your-own-model", 13),
        ("how-it-works", 2),
        ("trackers", 2),
        ("papers", 0),
        ("notebooks", 0),
        ("stability", 3),
        ("sweep", 1),
    ],
)
def test_pages_run_and_print_what_they_show(page, num_outputs, tmp_path, monkeypatch):
    from lottery_ticket.tracking import TRACKERS

    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    with TRACKERS.restored():
        assert run_page(text) == num_outputs


def test_the_finder_of_the_readme_runs_as_it_is_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import torch\n.*?)```", text, re.S)
    names = {}
    exec(code, names)
    assert (tmp_path / "mine.ticket.safetensors").is_file()
    results = names["results"]
    assert results.dense > 0.9  # it learns
    assert len(results.control("reinit")) == len(results.control("shuffled")) == 1
    assert str(results) in capsys.readouterr().out


def test_the_commands_of_the_readme_are_one_line_each():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    install, tests, *_ = re.findall(r"```sh\n(.*?)```", text, re.S)
    assert (install.count("\n"), tests.count("\n")) == (1, 1)
    assert "lottery run quickstart" in install
    assert tests.strip().endswith("-m pytest")


def test_the_readme_says_what_the_verdict_says():
    """How many of the levels before the claimed one are winning, and which are not."""
    page = (ROOT / "docs" / "verdict.md").read_text(encoding="utf-8")
    rows = re.findall(r"^ +(\d+) +([\d.]+) %.*  ([a-z][a-z ]+?)(?: [*(].*)?$", page, re.M)
    before = [row for row in rows if int(row[0]) < 13]
    labels = Counter(label for *_, label in before)
    assert labels == {"winning": 9, "matching": 2, "not decided": 1}
    at = {
        label: [f"{float(share):.0f} %" for _, share, other in before if other == label]
        for label in labels
    }
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "Of the twelve levels before it nine are winning too" in text
    assert f"those of {' and '.join(at['matching'])} only match dense" in text
    assert f"{at['not decided'][0]} is not decided" in text


@pytest.mark.parametrize(
    "wrong",
    ["level 3: 925 weights, 91.67 %", "level 3: 955 weights, 97.67 %", "level 3: 925 weights"],
)
def test_other_prints_are_caught(wrong):
    right = "level 3: 925 weights, 97.67 % in 3 s"
    check_prints(right, "level 3:  925 weights, 98.00 % in 0.5 s")
    with pytest.raises(AssertionError):
        check_prints(right, wrong)


def test_a_block_that_prints_what_is_not_shown_is_caught():
    with pytest.raises(AssertionError, match="does not show"):
        run_page("```python\nprint(1)\n```\n\nText.\n")


def script(*parts):
    """A script of the docs, as a module."""
    path = ROOT.joinpath("docs", *parts)
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def results(monkeypatch):
    """A script of docs/results, as if it were started with `--check`."""
    folder = ROOT / "docs" / "results"
    monkeypatch.syspath_prepend(folder)

    def script_of(name):
        monkeypatch.setattr(sys, "argv", [str(folder / name), "--check"])
        return script("results", name)

    return script_of


@pytest.mark.parametrize(
    "name",
    [
        *("render.py", "speed.py", "reproductions.py", "ship.py", "lightning.py"),
        *("hugging_face.py", "stability.py", "staged.py", "alignment.py", "sweeps.py"),
    ],
)
def test_pages_say_what_was_measured(name, results):
    results(name).main()


@pytest.mark.parametrize("name", ["speed.py", "ship.py", "lightning.py", "stability.py"])
def test_pages_that_say_something_else_are_caught(name, results, monkeypatch, tmp_path):
    module = results(name)
    head, mark, rest = module.PAGE.read_text(encoding="utf-8").partition("<!-- measured -->\n")
    (tmp_path / "page.md").write_text(f"{head}{mark}1{rest}", encoding="utf-8")
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.md")
    with pytest.raises(SystemExit, match="is not what docs/results says"):
        module.main()


def test_a_page_of_other_barriers_is_caught(results, monkeypatch, tmp_path):
    module = results("alignment.py")
    text = module.PAGE.read_text(encoding="utf-8").replace(module.MARKS[0], f"{module.MARKS[0]}1")
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.md")
    with pytest.raises(SystemExit, match="is not what docs/results says"):
        module.main()


def test_scripts_run_from_anywhere(tmp_path):
    command = [sys.executable, ROOT / "docs" / "results" / "speed.py", "--check"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("name", "shown", "other"), [("how_it_works.py", " ± ", " + "), ("verdict.py", " % |", " |")]
)
def test_pages_show_what_was_measured(name, shown, other):
    measured = script("results", name)
    text = measured.PAGE.read_text(encoding="utf-8")
    assert measured.rendered(text) == text
    start, end = text.index("<!-- "), text.rindex("<!-- /")
    wrong = text[:start] + text[start:end].replace(shown, other) + text[end:]
    assert wrong != text
    assert measured.rendered(wrong) == text


def test_api_pages_say_what_the_docstrings_say():
    render = script("api", "render.py")
    pages = render.pages()
    assert set(pages) == set(render.HERE.glob("*.md")), "run `make api`"
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make api`"
    for room in render.ROOMS:
        names = vars(importlib.import_module(f"lottery_ticket.{room}"))
        modules = {name for name, value in names.items() if isinstance(value, ModuleType)}
        for name in (name for name in set(names) - modules if not name.startswith("_")):
            assert f"\n## `{name}`\n" in pages[render.HERE / f"{room}.md"], name
    top = pages[render.HERE / "README.md"]
    assert all(f"- [`{name}`](" in top for name in set(lottery_ticket.__all__) - {"__version__"})


def test_every_criterion_and_pipeline_is_documented():
    from lottery_ticket.criteria import CRITERIA
    from lottery_ticket.pruning import PIPELINES

    text = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text, re.M)
    named = {name.strip('"') for row in rows for name in re.findall(r"`(.*?)`", row)}
    built_in = set(CRITERIA) - set(CRITERIA.user_entries())
    assert built_in | set(PIPELINES) <= named


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    counts, found = Counter(), set()
    for heading in re.findall(r"^#+ (.+)$", text, re.M):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{anchor}-{counts[anchor]}" if counts[anchor] else anchor)
        counts[anchor] += 1
    return found


@pytest.mark.parametrize("page", PAGES)
def test_local_links_lead_somewhere(page):
    path = ROOT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            file, _, anchor = link.partition("#")
            target = path.parent / file if file else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link
