"""`--import`: a file with its neighbours, in packages and out of them, replacing nothing."""

import random
import sys
from pathlib import Path

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import import_user_code
from lottery_ticket.models import MODELS, build

USES = """
from torch import nn
from lottery_ticket import register_model
{imports}
@register_model("{name}")
def net(input_size: int = 4, num_classes: int = 3):
    {lazily}
    return nn.Sequential(nn.Flatten(), head(input_size, num_classes))
"""
BLOCKS = """
from torch import nn
def head(width, classes):
    return nn.Linear(width, classes, bias={bias})
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path):
    """Law 16: whatever was imported, the process finds modules as it did before."""
    monkeypatch.chdir(tmp_path)
    path, modules = list(sys.path), dict(sys.modules)
    yield
    assert sys.path == path
    assert {name: sys.modules.get(name) for name in modules} == modules


def write(file: str, name: str, imports: str = "", lazily: str = "pass") -> str:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(USES.format(name=name, imports=imports, lazily=lazily))
    return file


def blocks(file: str, bias: bool = True) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(BLOCKS.format(bias=bias))


def package(*folders: str) -> None:
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "__init__.py").touch()


def has_bias(name: str) -> bool:
    return build(name, 0)[1].bias is not None


LAYOUTS = {
    "beside it": ("ui_a/mine.py", "from ui_blocks_a import head", "ui_a/ui_blocks_a.py", ()),
    "in the current folder": ("ui_b.py", "from ui_blocks_b import head", "ui_blocks_b.py", ()),
    "relative": ("ui_c/mine.py", "from .blocks import head", "ui_c/blocks.py", ("ui_c",)),
    "absolute": ("ui_d/mine.py", "from ui_d.blocks import head", "ui_d/blocks.py", ("ui_d",)),
    "beside it in a package": (
        "ui_e/mine.py", "from ui_blocks_e import head", "ui_e/ui_blocks_e.py", ("ui_e",),
    ),
    "a package above": (
        "ui_f/deep/mine.py", "from ..blocks import head", "ui_f/blocks.py", ("ui_f", "ui_f/deep"),
    ),
    "an odd name": ("my-ui/mine.py", "from .blocks import head", "my-ui/blocks.py", ("my-ui",)),
    "a package called as Python's": (
        "wsgiref/mine.py", "from .blocks import head", "wsgiref/blocks.py", ("wsgiref",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_neighbours_are_found(layout):
    file, imports, neighbour, packages = LAYOUTS[layout]
    package(*packages)
    blocks(neighbour)
    name = f"ui-{layout}"
    import_user_code([write(file, name, imports)])
    assert has_bias(name)


def test_neighbours_of_functions_are_found_later():
    blocks("ui_lazy/ui_lazy_blocks.py")
    file = write("ui_lazy/mine.py", "ui-lazy", lazily="from ui_lazy_blocks import head")
    import_user_code([file])
    assert has_bias("ui-lazy")


def test_modules_by_name_and_packages():
    package("ui_whole")
    blocks("ui_whole/blocks.py")
    write("ui_whole/nets.py", "ui-whole", "from .blocks import head")
    Path("ui_whole/__init__.py").write_text("from . import nets")
    import_user_code(["./ui_whole"])
    assert "ui-whole" in MODELS
    blocks("ui_named/blocks.py")
    write("ui_named/nets.py", "ui-named", "from .blocks import head")
    import_user_code(["ui_named.nets"])
    assert "ui-named" in MODELS


def test_two_files_of_one_name_have_each_its_own_neighbours():
    for folder, bias in (("ui_one", True), ("ui_two", False)):
        blocks(f"{folder}/ui_same_blocks.py", bias)
        write(f"{folder}/ui_same.py", folder, "from ui_same_blocks import head")
    import_user_code(["ui_one/ui_same.py", "ui_two/ui_same.py"])
    assert (has_bias("ui_one"), has_bias("ui_two")) == (True, False)
    assert sys.modules["ui_same"].__file__ == str(Path("ui_one/ui_same.py").resolve())
    assert sys.modules["ui_same_blocks"].__file__.startswith(str(Path("ui_one").resolve()))


@pytest.mark.parametrize("name", ["random", "json", "torch", "pandas"])
def test_a_file_called_like_another_module_replaces_none(name):
    """`pandas` is not imported yet, perhaps: what is installed counts as well."""
    blocks(f"ui_{name}/ui_blocks_{name}.py")
    file = write(f"ui_{name}/{name}.py", f"ui-{name}", f"from ui_blocks_{name} import head")
    import_user_code([file])
    assert has_bias(f"ui-{name}")
    known = sys.modules.get(name)
    assert known is None or str(Path.cwd()) not in (known.__file__ or "")
    assert hasattr(random, "Random")


def test_the_name_of_another_module_is_said():
    write("random.py", "ui-by-name")
    with pytest.raises(UsageError, match=r"another module .*write --import \./random\.py"):
        import_user_code(["random"])
    import_user_code(["./random.py"])
    assert "ui-by-name" in MODELS
    write("random/mine.py", "ui-within")
    with pytest.raises(
        UsageError, match=r"'random' is not a package; write --import \./random/mine"
    ):
        import_user_code(["random.mine"])


WRONG = {
    "needs what is not there": (
        "ui_w1.py", "from ui_missing import x",
        "No module named 'ui_missing' (ui_w1.py, line 1); ui_missing is neither installed nor",
    ),
    "relative without a package": (
        "ui_w2/ui_w2.py", "from .blocks import head", "an __init__.py makes its folder a package",
    ),
    "fails": ("ui_w3.py", "1 / 0", "ZeroDivisionError: division by zero (ui_w3.py, line 1)"),
    "does not parse": ("ui_w4.py", "def", "SyntaxError: invalid syntax (ui_w4.py, line 1)"),
    "ends the process": ("ui_w5.py", "raise SystemExit(3)", "SystemExit: 3"),
    "takes a name": (
        "ui_w6.py",
        "from lottery_ticket import register_model\nregister_model('LeNet300')(lambda: None)",
        "model 'LeNet300' is already registered",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_fails_is_said_each_time(wrong):
    file, text, message = WRONG[wrong]
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(text)
    for _ in range(2):  # nothing is left of the first that would pass for a module
        with pytest.raises(UsageError) as caught:
            import_user_code([file])
        assert str(caught.value).startswith(f"--import {file}: ")
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("ui_nowhere", "neither installed nor in the current folder: name its .py file"),
        ("ui_nowhere.deep", "neither installed nor in the current folder"),
        ("ui_nowhere.py", "no such file"),
        ("ui_plain/mine", "did you mean ui_plain/mine.py?"),
        ("ui_plain", "a folder without __init__.py; name a .py file in it"),
        ("./ui_plain", "a folder without __init__.py; name a .py file in it"),
        ("", "Empty module name"),
    ],
)
def test_what_is_not_there_is_said(module, message):
    write("ui_plain/mine.py", "ui-plain")
    with pytest.raises(UsageError) as caught:
        import_user_code([module])
    assert message in str(caught.value)


@pytest.mark.parametrize("by", ["ui_changed.py", "ui_changed_too"])
def test_a_file_that_changed_is_executed_again_when_a_run_is_planned(by):
    """Its text names results, so what it was before must not make them. In the midst of a run,
    workers keep what they have."""
    file = f"{by.removesuffix('.py')}.py"
    head = "from torch.nn import Linear as head"
    write(file, "ui-changed", head)
    import_user_code([by], refresh=True)
    first = MODELS["ui-changed"]
    import_user_code([by], refresh=True)
    assert MODELS["ui-changed"] is first
    write(file, "ui-changed", f"{head}\nCHANGED = True")
    import_user_code([by])
    assert MODELS["ui-changed"] is first
    import_user_code([by], refresh=True)
    assert MODELS["ui-changed"] is not first
