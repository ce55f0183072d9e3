"""The user's code on its way to another machine.

What was imported is sent with the folder that it was found in, as far as Python would import from
there: files in it, packages whole, and folders of files. Over there it is imported from the copy,
under the same names and with the same text.
"""

import contextlib
import itertools
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lottery_ticket.experiment.objects.user_code import file_of_import, import_user_code

__all__ = ["CodeFolder", "SentCode"]

_OURS = __name__.partition(".")[0]


@dataclass(frozen=True)
class CodeFolder:
    """A folder of the sender's in which imported modules were found.

    Args:
        path: where it lies there.
        packages: those of its packages that are sent; None for all that could be imported.
        is_searched: whether Python itself looks for modules there.
    """

    path: Path
    packages: tuple[str, ...] | None = None
    is_searched: bool = False

    def files(self) -> Iterator[Path]:
        """What is sent of it."""
        if self.packages is None:
            return _importable(self.path, is_package=False)
        each = (_importable(self.path / name, is_package=True) for name in self.packages)
        return itertools.chain.from_iterable(each)


@dataclass(frozen=True)
class SentCode:
    """Code that was imported, to be imported elsewhere.

    Args:
        folders: of which copies are sent.
        imports: the number of the folder (None for what is installed), and what to import as seen
            from there.
    """

    folders: tuple[CodeFolder, ...] = ()
    imports: tuple[tuple[int | None, str], ...] = ()

    @classmethod
    def of(cls, imports: Iterable[str], registered: Mapping[str, Mapping[str, Any]]) -> "SentCode":
        """What a worker needs.

        Args:
            imports: what was imported by `import_user_code`.
            registered: what the user registered besides; the modules that it is from go with it.
        """
        found = [_found(module) for module in imports]
        values = [value for entries in registered.values() for value in entries.values()]
        others = {_folder_of_module(_module_of(value)) for value in values} - {None}
        folders = _folders(found, {folder for folder in others if folder is not None})
        number = {folder.path: index for index, folder in enumerate(folders)}
        return cls(
            tuple(folders),
            tuple(
                (None if one.folder is None else number[one.folder], one.module) for one in found
            ),
        )

    def copy_to(self, root: Path) -> None:
        """Copy the code of each folder into one of its own below `root`."""
        for folder, copy in zip(self.folders, self._copies(root), strict=True):
            copy.mkdir(parents=True)
            for file in folder.files():
                target = copy / file.relative_to(folder.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)

    def import_from(self, root: Path) -> None:
        """Import from the copies below `root`; where Python looked in one of the sender's folders,
        it looks in the copy from now on.

        Raises:
            UsageError: an import failed.
        """
        copies = self._copies(root)
        pairs = list(zip(self.folders, map(str, copies), strict=True))
        moved = {str(folder.path): copy for folder, copy in pairs}
        sys.path[:] = [moved.get(str(Path(entry).resolve()), entry) for entry in sys.path]
        sys.path += [c for folder, c in pairs if folder.is_searched and c not in sys.path]
        for number, module in self.imports:
            with contextlib.nullcontext() if number is None else contextlib.chdir(copies[number]):
                import_user_code([module])

    def _copies(self, root: Path) -> list[Path]:
        # a dot: no module can be called so, and no package reaches up to here
        return [root / f"{number}.code" for number in range(len(self.folders))]


@dataclass(frozen=True)
class _Found:
    """An import: the folder it is found in, what to import as seen from there, and the package that
    it means by its path."""

    folder: Path | None
    module: str
    package: str | None = None


def _found(module: str) -> _Found:
    file = file_of_import(module)
    if file is None:
        return _Found(_folder_of_module(module), module)
    top, path = file.top, file.path
    package = top.parent.name if top.name == "__init__.py" else None
    folder = top.parent if package is None else top.parent.parent
    path = path.parent if path.name == "__init__.py" else path
    return _Found(folder, f"./{path.relative_to(folder).as_posix()}", package)


def _folders(found: Iterable[_Found], searched: set[Path]) -> list[CodeFolder]:
    """Each folder once; of one in which nothing but packages was meant, these alone."""
    packages: dict[Path, set[str | None]] = {folder: {None} for folder in sorted(searched, key=str)}
    for one in found:
        if one.folder is not None:
            packages.setdefault(one.folder, set()).add(one.package)
    return [
        CodeFolder(
            folder,
            None if None in names else tuple(sorted(name for name in names if name is not None)),
            folder in searched,
        )
        for folder, names in packages.items()
    ]


def _module_of(value: Any) -> str:
    return getattr(value, "__module__", None) or ""


def _folder_of_module(name: str) -> Path | None:
    """Where Python found a module; None for one that is installed, or in no file."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or name == "__main__" or name.partition(".")[0] == _OURS:
        return None
    path = Path(file).resolve()
    installed = {Path(folder).resolve() for folder in sysconfig.get_paths().values()}
    if any(part.name in ("site-packages", "dist-packages") for part in path.parents):
        return None
    if any(path.is_relative_to(folder) for folder in installed):
        return None
    return path.parents[name.count(".") + (path.name == "__init__.py")]


def _importable(folder: Path, *, is_package: bool) -> Iterator[Path]:
    """What can be imported from a folder, or is data of a package there."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_file() and (is_package or path.suffix == ".py"):
            yield path
        elif path.is_dir() and not path.is_symlink():
            is_inside = is_package or (path / "__init__.py").is_file()
            if is_inside or _is_namespace(path):
                yield from _importable(path, is_package=is_inside)


def _is_namespace(folder: Path) -> bool:
    """Whether a folder without `__init__.py` holds modules, and no environment of Python's."""
    is_environment = (folder / "pyvenv.cfg").exists()
    return folder.name.isidentifier() and not is_environment and any(folder.glob("*.py"))
