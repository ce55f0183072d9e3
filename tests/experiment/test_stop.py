"""Asking a run to stop: in the store, whose folder is there as long as the run is."""

import shutil
import signal
import tempfile
import threading

import pytest

from lottery_ticket.experiment.executors.stop import StopSign, ask_to_stop, is_asked_to_stop
from lottery_ticket.experiment.running.interrupts import interrupts, new_stop_file
from lottery_ticket.store import Store


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store")
    opened.open_for_writing()
    return opened


def test_workers_are_asked_through_the_store(store, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with new_stop_file(store) as stop_file, new_stop_file(store) as other:
        assert stop_file.is_absolute()
        assert stop_file.is_relative_to(store.root.absolute())
        sign = StopSign(stop_file)
        assert not sign.is_raised()
        ask_to_stop(stop_file)
        assert sign.is_raised()
        assert stop_file.exists()  # for other processes
        assert not is_asked_to_stop(other)
    assert not is_asked_to_stop(stop_file)
    assert not list(store.root.rglob(".stop-*"))


def test_this_process_is_asked_though_the_store_is_gone(store):
    with new_stop_file(store) as stop_file:
        shutil.rmtree(store.root)
        ask_to_stop(stop_file)
        assert is_asked_to_stop(stop_file)


def test_a_signal_asks_and_handlers_are_given_back(store):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number in (signal.SIGINT, signal.SIGTERM):
        with new_stop_file(store) as stop_file, interrupts(stop_file):
            shutil.rmtree(store.root / "work", ignore_errors=True)
            signal.raise_signal(number)
            assert is_asked_to_stop(stop_file)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_signals_are_left_alone(store):
    before, seen = signal.getsignal(signal.SIGINT), []

    def run() -> None:
        with new_stop_file(store) as stop_file, interrupts(stop_file):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_nobody_asks_where_there_is_no_file():
    assert not is_asked_to_stop(None)
    assert not StopSign(None).is_raised()
