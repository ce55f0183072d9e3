"""What importing the package costs, and what it offers."""

import importlib.metadata
import subprocess
import sys

import pytest

import lottery_ticket

HEAVY = {"pandas", "matplotlib", "sklearn", "scipy", "pydantic", "typer", "ruamel", "rich", "numba"}


def loaded_by(*statements: str) -> list[set[str]]:
    """The top-level modules that are loaded after each of some statements, in a fresh process."""
    told = "print(*{m.split('.')[0] for m in sys.modules})"
    script = "\n".join(["import sys", *(f"{statement}\n{told}" for statement in statements)])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_importing_the_package_loads_nothing_heavy():
    (loaded,) = loaded_by("import lottery_ticket")
    assert "lottery_ticket" in loaded
    assert not loaded & (HEAVY | {"torch", "numpy"})


def test_the_store_is_listed_without_torch():
    store, commands = loaded_by(
        "import lottery_ticket.store", "import lottery_ticket.cli, lottery_ticket.api"
    )
    assert not store & (HEAVY | {"torch", "numpy"})
    assert not commands & {"torch", "pandas", "matplotlib", "sklearn", "scipy", "pydantic"}


def test_presets_are_listed_and_verdicts_given_without_torch():
    (presets,) = loaded_by("from lottery_ticket.spec import preset_data")
    assert not presets & {"torch", "numpy"}
    verdicts, _ = loaded_by(
        "import lottery_ticket.analysis, lottery_ticket.api",
        "assert 'scipy.stats' not in sys.modules",
    )
    assert "pandas" in verdicts
    assert not verdicts & {"torch", "matplotlib", "sklearn", "pydantic"}


def test_the_compiler_is_loaded_only_to_execute_and_what_is_loaded_is_seen():
    names, engine, kernels = loaded_by(
        "import lottery_ticket; lottery_ticket.PruningMask",
        "import lottery_ticket.experiment, lottery_ticket.finder",
        "import lottery_ticket.kernels",
    )
    assert "torch" in names
    assert "numba" not in names | engine
    assert "numba" in kernels


def test_every_public_name_resolves():
    assert lottery_ticket.__all__ == sorted(lottery_ticket.__all__)
    for name in lottery_ticket.__all__:
        assert getattr(lottery_ticket, name) is not None
        assert name in dir(lottery_ticket)
    with pytest.raises(AttributeError, match="attribute no_such_name"):
        _ = lottery_ticket.no_such_name


def test_the_names_are_those_of_their_homes():
    from lottery_ticket.api import run
    from lottery_ticket.errors import LotteryError, UsageError
    from lottery_ticket.masks import PruningMask

    assert lottery_ticket.run is run
    assert lottery_ticket.PruningMask is PruningMask
    assert issubclass(lottery_ticket.UsageError, lottery_ticket.LotteryError)
    assert (lottery_ticket.UsageError, lottery_ticket.LotteryError) == (UsageError, LotteryError)


def test_the_version_is_that_of_the_distribution():
    assert lottery_ticket.__version__ == importlib.metadata.version("lottery-ticket")
