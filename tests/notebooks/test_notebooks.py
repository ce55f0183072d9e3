"""The four notebooks: the committed files are those of their sources, and every cell runs."""

import importlib.util
import json
import re

import nbformat
import pytest
from notebook_kernels import ROOT

spec = importlib.util.spec_from_file_location("notebooks_render", ROOT / "notebooks" / "render.py")
assert spec is not None
assert spec.loader is not None
render = importlib.util.module_from_spec(spec)
spec.loader.exec_module(render)

SMALL = {
    "winning_ticket": {"REPLICATES": 2, "LEVELS": 2, "EPOCHS": 2},
    "your_own_model": {"EPOCHS": 2, "ROUNDS": 2, "SEEDS": 2},
    "which_weights": {"OVERRIDES": ["replicates=2", "prune.levels=2", "train.duration=2ep"]},
}
MNIST = ["replicates=2", "prune.levels=2", "train.duration=1ep", "data.limit=2000"]
MNIST += ["train.eval_every=16it"]


def run(name, values, folder):
    notebook = render.with_parameters(render.notebook_of(name), values)
    return render.executed(notebook, folder, timeout=600)


def check_outputs(notebook):
    """A cell that ends with a value shows it richly, and nothing is a bare `<Figure …>`."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            assert output.output_type != "error"
            assert "Warning" not in output.get("text", "")
            assert "cannot be shown" not in data.get("text/html", "")
            if "Figure size" in data.get("text/plain", ""):
                assert "image/png" in data, cell.source
    assert len(nbformat.writes(notebook)) < 5_000_000


@pytest.mark.parametrize(
    "name",
    ["winning_ticket", *(pytest.param(name, marks=pytest.mark.slow) for name in [*SMALL][1:])],
)
def test_a_notebook_runs(name, tmp_path):
    notebook = run(name, SMALL[name], tmp_path)
    check_outputs(notebook)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in str(output.get("data")) for output in shown)


@pytest.mark.slow
def test_mnist_runs(tmp_path, real_mnist):
    notebook = run("mnist", {"OVERRIDES": MNIST}, tmp_path)
    check_outputs(notebook)
    text = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", ()))
    assert re.search(r"ticket's mean is above reinit's at \d of 2 levels", text)


@pytest.mark.slow
@pytest.mark.parametrize("name", render.NAMES)
def test_a_notebook_runs_as_it_is(name, tmp_path, data_dir):
    check_outputs(run(name, {}, tmp_path))


def test_the_committed_files_are_those_of_their_sources(tmp_path, monkeypatch):
    render.render(is_check=True)
    for name in render.NAMES:
        known = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        assert not any(cell.get("outputs") for cell in known["cells"])
    for path in (ROOT / "notebooks").glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(render, "HERE", tmp_path)
    render.render(is_check=False)
    render.render(is_check=True)
    source = tmp_path / "mnist.py"
    source.write_text(source.read_text(encoding="utf-8") + "\n# %%\n1 + 1\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"mnist\.ipynb is not what mnist\.py says"):
        render.render(is_check=True)


def test_all_say_where_the_package_is_and_install_it_only_if_it_is_missing():
    cells = {name: render.notebook_of(name).cells for name in render.NAMES}
    installing = [
        next(c for c in found if c.cell_type == "code").source for found in cells.values()
    ]
    assert len(set(installing)) == 1
    assert re.match(r'SOURCE = "', installing[0])
    assert "find_spec" in installing[0]


@pytest.mark.parametrize("name", render.NAMES)
def test_links_between_notebooks_and_pages_lead_somewhere(name):
    for cell in render.notebook_of(name).cells:
        for link in re.findall(r"\]\(([^)\s]+)\)", cell.source):
            if cell.cell_type == "markdown" and not link.startswith("http"):
                assert (ROOT / "notebooks" / link).exists(), link


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("False", False), ("[1, 'a']", [1, "a"]), ("'x'", "x"), ("", ""),
        ("lenet-mnist", "lenet-mnist"), ("a b", "a b"), ("f(1)", "f(1)"),
    ],
)  # fmt: skip
def test_what_is_no_literal_is_a_text(text, value):
    assert render.value_of(text) == value


@pytest.mark.parametrize("given", ["QUICK", "=3"])
def test_a_parameter_without_name_or_value_is_refused(given, capsys):
    with pytest.raises(SystemExit, match="2"):
        render.main(["--execute", "mnist", "--set", given])
    assert f"--set {given}: wanted NAME=VALUE" in capsys.readouterr().err


def test_a_parameter_that_is_not_there_is_refused():
    with pytest.raises(SystemExit, match="QUIK is no parameter; there are OVERRIDES, QUICK"):
        render.with_parameters(render.notebook_of("mnist"), {"QUIK": True})
