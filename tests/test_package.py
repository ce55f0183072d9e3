"""What importing the package costs, and what it offers."""

import importlib.metadata
import subprocess
import sys

import pytest

import lottery_ticket

HEAVY = {"pandas", "matplotlib", "sklearn", "scipy", "pydantic", "typer", "ruamel", "rich", "numba"}


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that are loaded after a statement, in a fresh process."""
    script = f"import sys; {statement}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import lottery_ticket")
    assert "lottery_ticket" in loaded
    assert not loaded & (HEAVY | {"torch", "numpy"})


def test_the_store_is_listed_without_torch():
    loaded = loaded_by("import lottery_ticket.store")
    assert not loaded & (HEAVY | {"torch", "numpy"})
    loaded = loaded_by("import lottery_ticket.cli, lottery_ticket.api")
    assert not loaded & {"torch", "pandas", "matplotlib", "sklearn", "scipy", "pydantic"}


def test_presets_are_listed_and_verdicts_given_without_torch():
    assert not loaded_by("from lottery_ticket.spec import preset_data") & {"torch", "numpy"}
    loaded = loaded_by("import lottery_ticket.analysis, lottery_ticket.api")
    assert "pandas" in loaded
    assert not loaded & {"torch", "matplotlib", "sklearn", "pydantic"}
    script = "import lottery_ticket.analysis; from sys import modules; assert 'scipy.stats' not in"
    loaded_by(f"{script} modules")


def test_what_is_loaded_is_seen():
    assert "torch" in loaded_by("import lottery_ticket; lottery_ticket.PruningMask")


def test_the_compiler_is_loaded_only_to_execute():
    assert "numba" not in loaded_by("import lottery_ticket.experiment, lottery_ticket.finder")
    assert "numba" in loaded_by("import lottery_ticket.kernels")


def test_every_public_name_resolves():
    assert lottery_ticket.__all__ == sorted(lottery_ticket.__all__)
    for name in lottery_ticket.__all__:
        assert getattr(lottery_ticket, name) is not None
        assert name in dir(lottery_ticket)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
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
