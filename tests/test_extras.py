"""What an extra brings is looked for before anything is done, and its versions are pyproject's."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.extras import LEAST, check_extra

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def bounds(requirements):
    """Package → its lower bound, as extras name them."""
    found = [re.match(r"([\w.-]+)(?:>=([\d.]+))?", each) for each in requirements]
    return {each[1].replace("-", "_"): each[2] or "" for each in found}


@pytest.mark.parametrize("extra", LEAST)
def test_versions_are_those_of_pyproject(extra):
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    wanted = bounds(project["optional-dependencies"][extra])
    for name, least in LEAST[extra].items():
        assert name in wanted
        assert least in ("", wanted[name]), name


@pytest.mark.parametrize(
    ("version", "is_old"), [("0.25.9", True), ("0.26.0", False), ("1.0", False), ("0.26rc1", False)]
)
def test_versions_that_are_too_old(version, is_old, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    if not is_old:
        return check_extra("hub", "this")
    with pytest.raises(UsageError) as error:
        check_extra("hub", "this")
    assert str(error.value) == (
        "this needs huggingface_hub 0.26 or later, here is 0.25.9: "
        "pip install 'lottery-ticket[hub]'"
    )
    return None


NAMES = """
import sys
import lottery_ticket.integrations.transformers as integration
from lottery_ticket.errors import UsageError

for missing in ("transformers", "accelerate"):
    assert missing not in sys.modules
    sys.modules[missing] = None
    for name in ("PruningCallback", "trainer_functions"):
        try:
            getattr(integration, name)
        except UsageError as error:
            print(error)
"""


def test_the_names_of_an_integration_say_what_is_missing():
    """Importing it costs nothing, whether or not anything is there."""
    done = subprocess.run(
        [sys.executable, "-c", NAMES], capture_output=True, text=True, timeout=120, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert line.startswith("lottery_ticket.integrations.transformers.")
        assert line.endswith("not installed here: pip install 'lottery-ticket[hf]'")
    assert "needs transformers" in lines[0]
    assert "accelerate" in lines[-1]
