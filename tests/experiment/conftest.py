"""Fixtures of the engine's tests."""

from collections.abc import Iterator

import pytest
from each_step import kinds_kept
from tiny_runs import tiny as tiny


@pytest.fixture
def own_kinds() -> Iterator[None]:
    """How a test makes cells is forgotten after it."""
    with kinds_kept():
        yield
