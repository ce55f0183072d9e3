"""The device that these tests are about; without a GPU they run only where `--device cpu` asks."""

import pytest
import torch


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    asked = pytestconfig.getoption("--device")
    if asked is None and not torch.cuda.is_available():
        pytest.skip("wants a GPU; `--device cpu` runs it on the CPU")
    return asked or "cuda"
