"""Code that is sent elsewhere is imported there under the same names, from the same text."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.objects.sent_code import SentCode
from lottery_ticket.experiment.objects.user_code import import_user_code
from lottery_ticket.models import MODELS

FILE = """
from torch import nn
from lottery_ticket import register_model
{imports}
@register_model("{name}")
def net(input_size: int = 4, num_classes: int = 3):
    from {lazily} import head
    return nn.Sequential(nn.Flatten(), head(input_size, num_classes))
"""
HEAD = """
from torch import nn
def head(width, classes):
    return nn.Linear(width, classes, bias=False)
"""
TOLD = """
import pickle, sys
from pathlib import Path
code, name, root = pickle.loads(bytes.fromhex(sys.argv[1]))
sys.path[:] = [entry for entry in sys.path if entry]
sys.path += [str(folder.path) for folder in code.folders]  # as on the sender's own machine
code.import_from(Path(root))
from lottery_ticket.models import MODELS, build
entry = MODELS.entry(name)
print(entry.value.__module__, entry.source_hash(), build(name, 0)[1].bias, sys.modules[
    entry.value.__module__].__file__, sep="\\n")
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path, forgotten):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = list(sys.path)
    yield
    assert sys.path == path


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def net(path: str, name: str, lazily: str, imports: str = "") -> str:
    return str(write(path, FILE.format(name=name, lazily=lazily, imports=imports)))


def beside() -> str:
    write("sc_head.py", HEAD)
    return net("sc_beside.py", "beside", "sc_head")


def elsewhere() -> str:
    write("../far/sc_far_head.py", HEAD)
    return net("../far/sc_far.py", "elsewhere", "sc_far_head", "import sc_far_head")


def in_a_package() -> str:
    for folder in ("../far/sc_pkg", "../far/sc_pkg/deep"):
        write(f"{folder}/__init__.py", "")
    write("../far/sc_pkg/head.py", HEAD)
    return net("../far/sc_pkg/deep/mine.py", "in a package", "sc_pkg.head")


def a_package() -> str:
    write("sc_whole/__init__.py", "from sc_whole import mine")
    write("sc_whole/head.py", HEAD)
    write("sc_whole/data/widths.txt", "4")
    net("sc_whole/mine.py", "a package", "sc_whole.head")
    return "./sc_whole"


def by_name() -> str:
    write("sc_named_head.py", HEAD)
    net("sc_named.py", "by name", "sc_named_head")
    return "sc_named"


def by_a_dotted_name() -> str:
    write("sc_space/head.py", HEAD)
    net("sc_space/mine.py", "by a dotted name", "sc_space.head")
    return "sc_space.mine"


LAYOUTS: dict[str, Callable[[], str]] = {
    make.__name__.replace("_", " "): make
    for make in (beside, elsewhere, in_a_package, a_package, by_name, by_a_dotted_name)
}


def told(code: SentCode, name: str, root: Path) -> list[str]:
    """What another process imports from copies: module, hash, bias, file."""
    given = pickle.dumps((code, name, str(root))).hex()
    ran = subprocess.run(
        [sys.executable, "-c", TOLD, given],
        capture_output=True, text=True, timeout=120, cwd=root, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(layout, marks=[] if layout in ("beside", "in a package") else pytest.mark.slow)
        for layout in LAYOUTS
    ],
)
def test_it_is_called_and_hashed_as_at_home(layout, tmp_path):
    module = LAYOUTS[layout]()
    import_user_code([module])
    code = SentCode.of([module], {})
    code.copy_to(tmp_path / "copies")
    entry = MODELS.entry(layout)
    at_home = (entry.value.__module__, entry.source_hash())
    name, digest, bias, file = told(code, layout, tmp_path / "copies")
    assert (name, digest, bias) == (*at_home, "None")
    assert file.startswith(str(tmp_path / "copies"))


ADOPTS = """
import pickle, sys
from pathlib import Path
code, value = sys.argv[1:]
pickle.loads(bytes.fromhex(code)).import_from(Path.cwd())
print(pickle.loads(bytes.fromhex(value))(2, 3))
"""


def test_what_a_script_imported_goes_with_what_it_registered(tmp_path, monkeypatch):
    write("script/sc_lib.py", HEAD)
    with monkeypatch.context() as patch:
        patch.syspath_prepend("script")
        import sc_lib  # type: ignore[import-not-found]
    code = SentCode.of([], {"model": {"head": sc_lib.head}})
    assert [folder.path for folder in code.folders] == [Path("script").resolve()]
    code.copy_to(tmp_path / "copies")
    given = [pickle.dumps(value).hex() for value in (code, sc_lib.head)]
    shutil.rmtree("script")
    said = subprocess.check_output(
        [sys.executable, "-c", ADOPTS, *given], cwd=tmp_path / "copies", text=True, timeout=60
    )
    assert said.startswith("Linear(in_features=2, out_features=3")


def test_only_what_can_be_imported_is_copied(tmp_path):
    beside()
    a_package()
    by_a_dotted_name()
    write("lottery_runs/cells/weights.bin", "")
    write("notes.txt", "")
    write(".hidden/secret.py", "")
    write("venv/pyvenv.cfg", "")
    write("venv/activate.py", "")
    import_user_code(["./sc_beside.py", "./sc_whole"])
    copied = {
        which: sorted(str(file.relative_to(Path.cwd())) for file in folder.files())
        for which, module in (("all", "./sc_beside.py"), ("one", "./sc_whole"))
        for folder in SentCode.of([module], {}).folders
    }
    whole = [
        f"sc_whole/{name}" for name in ("__init__.py", "data/widths.txt", "head.py", "mine.py")
    ]
    assert copied["one"] == whole
    space = ["sc_space/head.py", "sc_space/mine.py"]
    assert copied["all"] == ["sc_beside.py", "sc_head.py", *space, *whole]


def test_what_is_installed_stays_where_it_is():
    code = SentCode.of(["json"], {"model": {"net": Path, "mine": lambda: None}})
    assert code.imports == ((None, "json"),)
    assert [folder.path for folder in code.folders] == [Path(__file__).parent]


def test_a_neighbour_that_was_not_sent_is_missed(tmp_path):
    """The mutant: a folder of which the file alone is sent."""
    module = beside()
    import_user_code([module])
    code = SentCode.of([module], {})
    code.copy_to(tmp_path / "copies")
    (tmp_path / "copies" / "0.code" / "sc_head.py").unlink()
    with pytest.raises(AssertionError, match="No module named 'sc_head'"):
        told(code, "beside", tmp_path / "copies")


def test_a_failing_import_names_what_failed(tmp_path):
    write("sc_fails.py", "1 / 0")
    code = SentCode.of(["./sc_fails.py"], {})
    code.copy_to(tmp_path)
    with pytest.raises(UsageError, match=r"--import \./sc_fails\.py: ZeroDivisionError"):
        code.import_from(tmp_path)
