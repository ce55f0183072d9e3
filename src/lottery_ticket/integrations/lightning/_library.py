"""Lightning itself, which is imported where it is used, once its version is known to be safe."""

import functools
import importlib
import importlib.metadata
import re
import sys
import warnings
from typing import Any

from lottery_ticket.errors import UsageError

__all__ = [
    "check_is_installed",
    "check_version",
    "goes_on_exactly",
    "joined",
    "package_of",
    "warn_if_inexact",
]

_LEAST, _END = (2, 4), (3,)
_EXACT = (2, 5, 6)
_MALWARE = ("2.6.2", "2.6.3")
_PACKAGES = {"lightning": "lightning.pytorch", "pytorch-lightning": "pytorch_lightning"}
_PIP = "pip install 'lottery-ticket[lightning]'"


def check_version(version: str, package: str = "lightning", *, is_imported: bool = False) -> None:
    """See that a version of Lightning can be used, before anything of it is imported.

    Args:
        version: as the installed package says it.
        package: `"lightning"` or `"pytorch-lightning"`.
        is_imported: whether somebody else has imported it already.

    Raises:
        UsageError: 2.6.2 and 2.6.3 are malware (GHSA-w37p-236h-pfx3); others are too old or new.

    >>> check_version("2.6.6")
    >>> check_version("2.6.3")
    Traceback (most recent call last):
        ...
    lottery_ticket.errors.UsageError: lightning 2.6.3 is malware that was put on the package \
index (GHSA-w37p-236h-pfx3): it was not imported; remove it, change the secrets that this machine \
had, and pip install 'lottery-ticket[lightning]'
    """
    numbers = _numbers(version)
    # also 2.6.3.post1, and the like
    if ".".join(map(str, numbers)) in _MALWARE:
        raise UsageError(
            f"{package} {version} is malware that was put on the package index "
            f"(GHSA-w37p-236h-pfx3): {_imported(is_imported)}; remove it, change the secrets that "
            f"this machine had, and {_PIP}"
        )
    if not _LEAST <= numbers < _END:
        raise UsageError(f"{package} {version}: wanted 2.4 or later, and less than 3: {_PIP}")


def check_is_installed() -> None:
    """Raises `UsageError` if Lightning is missing, or a version that is refused."""
    _packages(_in_use())


def package_of(trainer: object) -> Any:
    """`lightning.pytorch` or `pytorch_lightning`, whose `Trainer` this is; None if it is none."""
    found = _packages(_in_use())
    return next((each for each in found if isinstance(trainer, each.Trainer)), None)


def joined(own: type) -> type:
    """A class of ours that is a `Callback` of Lightning's too, of whichever package is in use.

    Lightning is only imported when such an object is made: `import lottery_ticket` stays cheap, and
    the class can be named where Lightning is not installed.
    """
    return _joined(own, _packages(_in_use()))


def warn_if_inexact() -> None:
    """Say so where a fit of this version does not go on from a checkpoint to the bit."""
    for package in _packages(_in_use()):
        version = package.__version__
        if not goes_on_exactly(version):
            warnings.warn(
                f"Lightning {version}: a killed training does not go on to the bit from its "
                "checkpoint; from 2.5.6 on it does",
                UserWarning,
                stacklevel=4,
            )


def goes_on_exactly(version: str) -> bool:
    """Whether a fit that was killed was seen to go on to the bit.

    >>> goes_on_exactly("2.5.6"), goes_on_exactly("2.5.0.post0")
    (True, False)
    """
    return _numbers(version) >= _EXACT


def _imported(is_imported: bool) -> str:
    return "it was imported already, and so has run" if is_imported else "it was not imported"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _in_use() -> tuple[str, ...]:
    """The packages that are imported already."""
    return tuple(name for name in _PACKAGES.values() if name in sys.modules)


@functools.cache
def _joined(own: type, packages: tuple[Any, ...]) -> type:
    bases = (own, *(package.Callback for package in packages))
    return type(own.__name__, bases, {"__module__": own.__module__, "__doc__": own.__doc__})


def _packages(in_use: tuple[str, ...]) -> tuple[Any, ...]:
    """What is imported already, else the first that is installed."""
    found = []
    for package, module in _PACKAGES.items():
        if in_use and module not in in_use:
            continue
        try:
            version = importlib.metadata.version(package)
            check_version(version, package, is_imported=module in sys.modules)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(importlib.import_module(module))
        if not in_use:
            break
    if not found:
        raise UsageError(f"Lightning is not installed here: {_PIP}")
    return tuple(found)
