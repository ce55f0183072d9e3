"""Fixtures of the store's tests."""

from pathlib import Path

import pytest

from lottery_ticket.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store(tmp_path / "store")
    opened.open_for_writing()
    return opened
