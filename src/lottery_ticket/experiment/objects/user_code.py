"""The user's own modules (`--import`), and what they registered.

A file is imported as Python itself would: its neighbours are found as `python mine.py` finds them,
and in a package (`__init__.py`) as `python -m package.mine` does. Nothing that is there already is
replaced: a file called like a module of Python, of a package or of another import gets a name of
its own, and `sys.path` is given back.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.objects.code import REGISTRIES

__all__ = [
    "ImportedFile",
    "adopt",
    "file_of_import",
    "import_user_code",
    "registered_elsewhere",
    "sent_by_value",
]

_NO_INIT = "a folder without __init__.py; name a .py file in it"

_imported: dict[tuple[str, str], Any] = {}  # (kind, name) → what an import registered
_names: set[str] = set()  # modules that were imported by name
_neighbours: set[str] = set()  # modules that were found beside an imported one
_read: dict[str, tuple[ModuleType, bytes]] = {}  # file → its module, and the text that made it


def import_user_code(modules: Iterable[str], *, refresh: bool = False) -> None:
    """Import modules by name (the current folder counts), or by path to a .py file or a package.

    Args:
        modules: as given to `--import`.
        refresh: whether a file that has changed since it was imported is executed again.

    Raises:
        UsageError: there is no such module, or importing it failed.
    """
    before = _registered()
    try:
        for module in modules:
            with _explained(module):
                path = _path(module)
                if path is None:
                    _import_name(module, refresh)
                else:
                    _import_file(path, refresh)
    finally:
        now = _registered().items()
        _imported.update({key: value for key, value in now if before.get(key) is not value})


@dataclass(frozen=True)
class ImportedFile:
    """What an import by path means.

    Args:
        path: the file; of a package its `__init__.py`.
        top: that of the module or package at the top, to which it belongs.
    """

    path: Path
    top: Path


def file_of_import(module: str) -> ImportedFile | None:
    """The file that an import means; None for the name of a module.

    Raises:
        UsageError: there is no such file.
    """
    path = _path(module)
    if path is None:
        return None
    return ImportedFile(path, _place(path)[0])


def registered_elsewhere() -> dict[str, dict[str, Any]]:
    """What the caller's own code registered (a script, a notebook, modules it imported).

    It is sent to the workers: by reference where they can import it, else by value. What an import
    of `import_user_code` registered is left out, since the workers import that themselves.
    """
    modules = {module.__name__ for module, _ in _read.values()}
    return {
        kind: {
            name: value
            for name, value in registry.user_entries().items()
            if _imported.get((kind, name)) is not value
            and getattr(value, "__module__", None) not in modules
        }
        for kind, registry in REGISTRIES.items()
    }


@contextlib.contextmanager
def sent_by_value() -> Iterator[None]:
    """Within, what imported code defines travels to another process whole, not by the name of a
    module that it could not find there."""
    import cloudpickle

    present = [sys.modules[name] for name in sorted(_neighbours & set(sys.modules))]
    modules = [module for module in present if _is_beside(module)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _is_beside(module: ModuleType) -> bool:
    """Whether it lies beside an imported file, or in a package there."""
    file = _file_of(module)
    if file is None:
        return False
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return depth < len(file.parents) and str(file.parents[depth]) in _BESIDE.folders


def adopt(registered: Mapping[str, Mapping[str, Any]]) -> None:
    """In a worker: register what was sent by value."""
    for kind, entries in registered.items():
        for name, value in entries.items():
            REGISTRIES[kind].add(name, value, is_user=True)


def _registered() -> dict[tuple[str, str], Any]:
    return {
        (kind, name): value
        for kind, registry in REGISTRIES.items()
        for name, value in registry.user_entries().items()
    }


def _path(module: str) -> Path | None:
    """The file that is meant; None for the name of a module."""
    path = Path(module).expanduser()
    if not module.endswith(".py") and not {os.sep, "/"} & set(module):
        return None
    if path.is_dir() and (path / "__init__.py").is_file():
        return path.resolve() / "__init__.py"
    if path.is_file() and path.suffix == ".py":
        return path.resolve()
    if path.is_dir():
        raise UsageError(_NO_INIT)
    with_suffix = path.with_name(f"{path.name}.py")
    hint = f"; did you mean {with_suffix}?" if with_suffix.is_file() else ""
    raise UsageError(f"no such file{hint}" if path.suffix == ".py" else f"no such .py file{hint}")


def _import_name(name: str, refresh: bool) -> None:
    if name in _names and not refresh:
        return
    here = Path.cwd()
    with _searched([here]):
        module = importlib.import_module(name)
    _names.add(name)
    file = getattr(module, "__file__", None)
    if file is None and hasattr(module, "__path__"):
        raise UsageError(_NO_INIT)
    beside = here.joinpath(*name.split("."))
    for own in (beside.with_name(f"{beside.name}.py"), beside / "__init__.py"):
        if own.is_file() and (file is None or Path(file).resolve() != own.resolve()):
            raise UsageError(
                f"this is the name of another module ({file or 'built in'}); for the one in the "
                f"current folder write --import ./{own.relative_to(here)}"
            )
    if file is not None and refresh:
        _refresh(module, Path(file))


def _import_file(path: Path, refresh: bool) -> None:
    if str(path) in _read:
        if refresh:
            _refresh(_read[str(path)][0], path)
        return
    top, rest = _place(path)
    name = _free_name(top)
    with _searched([path.parent, top.parent]):
        if name not in sys.modules:
            _load(name, top)
        module = importlib.import_module(f"{name}{rest}")
    _read[str(path)] = (module, path.read_bytes())


def _place(path: Path) -> tuple[Path, str]:
    """The file of the top-level module a file belongs to, and its dotted place below that."""
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder, top = path.parent, path
    while (folder / "__init__.py").is_file() and "." not in folder.name:
        top, folder, parts = folder / "__init__.py", folder.parent, [folder.name, *parts]
    return top, "".join(f".{part}" for part in parts[1:])


def _free_name(top: Path) -> str:
    """What the module of a file is called: its usual name, unless that is another's."""
    usual = top.parent.name if top.name == "__init__.py" else top.stem
    known = sys.modules.get(usual)
    if known is not None:
        is_free = _file_of(known) == top
    else:
        found = _found(usual)
        is_free = found is None or Path(found).resolve() == top
    return usual if is_free else f"{usual}_{hashlib.sha256(str(top).encode()).hexdigest()[:8]}"


def _found(name: str) -> str | None:
    """Where Python would find a module; None where there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    # a folder without __init__.py gives way to any module
    return None if spec is None or spec.origin is None else spec.origin


def _load(name: str, file: Path) -> None:
    """Execute a file as the module `name`; nothing is left of one that fails."""
    folders = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _refresh(module: ModuleType, path: Path) -> None:
    """Execute a file again that has changed: names are made of its text as it is now."""
    text = path.read_bytes()
    if _read.setdefault(str(path), (module, text))[1] != text:
        with _searched([path.parent, _place(path)[0].parent]):
            exec(compile(text, str(path), "exec"), vars(module))  # a cached one may be older
        _read[str(path)] = (module, text)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return None if file is None else Path(file).resolve()


class _Beside:
    """Finds, after all else, what lies beside an imported file, for imports within functions."""

    folders: tuple[str, ...] = ()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As of a meta path finder."""
        return PathFinder.find_spec(name, list(self.folders)) if path is None else None


_BESIDE = _Beside()


@contextlib.contextmanager
def _searched(folders: Iterable[Path]) -> Iterator[None]:
    """Look for modules in these folders first, within; afterwards only where nothing else is."""
    wanted = list(dict.fromkeys(map(str, folders)))
    new = [name for name in wanted if name not in sys.path]
    sys.path[:0] = new
    importlib.invalidate_caches()  # files may have been written a moment ago
    hidden = _hide_namesakes_(wanted)
    known = set(sys.modules)
    try:
        yield
    finally:
        for name in new:
            with contextlib.suppress(ValueError):
                sys.path.remove(name)
        _neighbours.update(set(sys.modules) - known)
        sys.modules.update(hidden)
        _BESIDE.folders = tuple(dict.fromkeys([*_BESIDE.folders, *new]))
        if _BESIDE not in sys.meta_path:
            sys.meta_path.append(_BESIDE)


def _hide_namesakes_(folders: list[str]) -> dict[str, ModuleType]:
    """Take neighbours of other imports out of the way of those that these folders have."""
    hidden = {}
    for name in _neighbours & set(sys.modules):
        file = _file_of(sys.modules[name])
        top = name.partition(".")[0]
        for folder in map(Path, folders):
            own = (folder / f"{top}.py", folder / top / "__init__.py")
            if file and folder not in file.parents and any(path.is_file() for path in own):
                hidden[name] = sys.modules.pop(name)
                break
    return hidden


@contextlib.contextmanager
def _explained(module: str) -> Iterator[None]:
    """Whatever goes wrong within, as a `UsageError` that names what was imported."""
    try:
        yield
    except (Exception, SystemExit) as error:
        said = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
        raise UsageError(
            f"--import {module}: {said}{_where(error)}{_remedy(module, error)}"
        ) from error


def _where(error: BaseException) -> str:
    """The line of the user's that failed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = (__file__, importlib.__file__)
    lines = [f for f in frames if not f.filename.startswith("<") and f.filename not in ours]
    if not lines or isinstance(error, UsageError | SyntaxError):
        return ""
    return f" ({Path(lines[-1].filename).name}, line {lines[-1].lineno})"


def _remedy(module: str, error: BaseException) -> str:
    if "relative import" in str(error):
        return "; an __init__.py makes its folder a package"
    if isinstance(error, ModuleNotFoundError) and error.name:
        if module == error.name or module.startswith(f"{error.name}."):
            file = Path(*module.split(".")).with_suffix(".py")
            if file.is_file():  # behind another module of that name
                return f"; write --import ./{file}"
            return "; it is neither installed nor in the current folder: name its .py file"
        return (
            f"; {error.name} is neither installed nor beside the file: install it, or put it there"
        )
    return ""
