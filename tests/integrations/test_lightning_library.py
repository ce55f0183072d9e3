"""Where Lightning is missing, or is a version that must not be imported."""

import importlib.util
import subprocess
import sys

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.integrations.lightning import (
    LotteryTicketCallback,
    check_version,
    lightning_functions,
)

IS_MISSING = not any(map(importlib.util.find_spec, ("lightning", "pytorch_lightning")))


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3", "2.6.3.post1", "2.6.2+cpu"])
@pytest.mark.parametrize("package", ["lightning", "pytorch-lightning"])
def test_malware_is_refused_with_the_reason(version, package):
    with pytest.raises(UsageError, match=r"malware.*GHSA-w37p-236h-pfx3.*not imported"):
        check_version(version, package)


def test_malware_that_was_imported_already_is_told_of_as_such():
    with pytest.raises(UsageError, match="it was imported already, and so has run"):
        check_version("2.6.3", is_imported=True)


@pytest.mark.parametrize("version", ["1.9.5", "2.3.3", "3.0.0", "3.0.0rc1", "2.3.3.post1"])
def test_versions_too_old_or_new_are_refused(version):
    with pytest.raises(UsageError, match=r"wanted 2.4 or later, and less than 3: pip install"):
        check_version(version)


@pytest.mark.parametrize("version", ["2.4.0", "2.5.0.post0", "2.6.1", "2.6.4", "2.6.20", "2.10.0"])
def test_other_versions_are_taken(version):
    check_version(version)


@pytest.mark.skipif(not IS_MISSING, reason="Lightning is installed here")
def test_what_is_missing_is_named_with_the_pip_line():
    for wanted in (LotteryTicketCallback, lambda: lightning_functions(lambda: None)):
        with pytest.raises(UsageError, match=r"pip install 'lottery-ticket\[lightning\]'"):
            wanted()


def test_malware_is_not_imported(tmp_path):
    """A package of that version, which would tell if it were imported."""
    (tmp_path / "lightning").mkdir()
    (tmp_path / "lightning" / "__init__.py").write_text("print('it ran')")
    info = tmp_path / "lightning-2.6.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lightning\nVersion: 2.6.3\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from lottery_ticket.integrations.lightning import LotteryTicketCallback\n"
        "try:\n    LotteryTicketCallback()\nexcept ValueError as error:\n    print(error)\n"
        "import lightning\n"  # the mutant: what it looks like when it does run
        "sys.modules['lightning.pytorch'] = lightning\n"
        "try:\n    LotteryTicketCallback()\nexcept ValueError as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    ).stdout.splitlines()
    assert "2.6.3 is malware" in told[0]
    assert "it was not imported" in told[0]
    assert told[1] == "it ran"
    assert "it was imported already" in told[2]
