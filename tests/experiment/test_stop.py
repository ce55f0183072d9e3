"""Asking a run to stop: in the store, whose folder is there as long as the run is."""

import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import pytest

from lottery_ticket.errors import StoreError
from lottery_ticket.experiment.executors.stop import (
    StopSign,
    ask_to_stop,
    is_asked_to_stop,
    take_back,
)
from lottery_ticket.experiment.running.interrupts import interrupts, new_stop
from lottery_ticket.store import LocalStore, Store


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store")
    opened.open_for_writing()
    return opened


ASK = """
import sys
from lottery_ticket.store import Store
Store(sys.argv[1]).board.put("stop", sys.argv[2], b"")
"""


def test_others_ask_through_the_store(store, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with new_stop(store) as token, new_stop(store) as other:
        sign = StopSign(store, ["small-00000000", token])
        assert not sign.is_raised()
        subprocess.run([sys.executable, "-c", ASK, str(store.root), token], check=True)
        assert sign.is_raised()
        assert is_asked_to_stop(store, token)
        assert not is_asked_to_stop(store, other)
    assert not is_asked_to_stop(store, token)
    assert store.board.names("stop") == []


def test_who_asks_is_heard_by_others(store):
    with new_stop(store) as token:
        ask_to_stop(store, token)
        assert Store(store.root).board.names("stop") == [token]
        assert StopSign(store, [token]).is_raised()
        take_back(store, token)
        assert not StopSign(store, [token]).is_raised()


def test_this_process_is_asked_though_the_store_is_gone(store):
    with new_stop(store) as token:
        shutil.rmtree(store.root)
        store.root.write_bytes(b"another thing")
        ask_to_stop(store, token)
        assert is_asked_to_stop(store, token)


def test_a_signal_asks_and_handlers_are_given_back(store):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number in (signal.SIGINT, signal.SIGTERM):
        with new_stop(store) as token, interrupts(store, token):
            shutil.rmtree(store.root / "work", ignore_errors=True)
            signal.raise_signal(number)
            assert is_asked_to_stop(store, token)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_insists_while_the_store_is_away(tmp_path):
    """It is asked for a minute whether it can be told."""
    num_asked = []

    class Away(LocalStore):
        @property
        def board(self):
            num_asked.append(1)
            assert len(num_asked) < 3, "no Ctrl-C insists"
            signal.raise_signal(signal.SIGINT)
            raise StoreError("away")

    store = Away(tmp_path)
    with pytest.raises(KeyboardInterrupt), interrupts(store, "0123456789abcdef"):
        signal.raise_signal(signal.SIGINT)
    assert len(num_asked) == 1
    take_back(Store(tmp_path), "0123456789abcdef")


def test_in_another_thread_signals_are_left_alone(store):
    before, seen = signal.getsignal(signal.SIGINT), []

    def run() -> None:
        with new_stop(store) as token, interrupts(store, token):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_nobody_asks_where_there_is_no_token(store):
    assert not StopSign(store, ()).is_raised()
