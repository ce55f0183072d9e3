"""Decoded images are kept on disk, and never instead of what the files hold."""

import os

import pytest
import torch

from lottery_ticket.data import _decoded, load_dataset


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache that takes files of any size; its folder."""
    monkeypatch.setattr(_decoded, "cache_dir", lambda: tmp_path / "user" / "data")
    monkeypatch.setattr(_decoded, "_WORTH_IT", 0)
    return tmp_path / "user" / "decoded"


@pytest.fixture
def mnist_dir(tmp_path, write_mnist):
    write_mnist(tmp_path / "sets" / "mnist", is_gzipped=True)
    return tmp_path / "sets"


def check_same(found, wanted):
    assert found.digest == wanted.digest
    for part in ("train", "validation", "test"):
        one, other = getattr(found, part), getattr(wanted, part)
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.y, other.y)


def break_decoder(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("decoded again")

    monkeypatch.setattr("lottery_ticket.data._mnist._read", refuse)


@pytest.mark.parametrize("validation", [0, 2])
def test_the_second_time_nothing_is_decoded(validation, cache, mnist_dir, monkeypatch):
    first = load_dataset("mnist", data_dir=mnist_dir, validation=validation)
    assert len(list(cache.iterdir())) == 1
    break_decoder(monkeypatch)
    check_same(load_dataset("mnist", data_dir=mnist_dir, validation=validation), first)


def test_changed_files_are_decoded_again(cache, mnist_dir, monkeypatch):
    load_dataset("mnist", data_dir=mnist_dir)
    path = next((mnist_dir / "mnist").iterdir())
    os.utime(path, (1, 1))
    break_decoder(monkeypatch)
    with pytest.raises(AssertionError, match="decoded again"):
        load_dataset("mnist", data_dir=mnist_dir)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_damaged_cache_is_not_believed(keep, cache, mnist_dir):
    first = load_dataset("mnist", data_dir=mnist_dir)
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:keep])
    check_same(load_dataset("mnist", data_dir=mnist_dir), first)


def test_a_cache_that_cannot_be_written_is_done_without(cache, mnist_dir):
    cache.parent.mkdir()
    cache.write_text("a file where the folder would be")
    assert len(load_dataset("mnist", data_dir=mnist_dir).train) > 0


def test_small_files_are_not_kept(cache, mnist_dir, monkeypatch):
    monkeypatch.setattr(_decoded, "_WORTH_IT", 4 << 20)
    load_dataset("mnist", data_dir=mnist_dir)
    assert not cache.exists()


def test_what_is_mapped_can_be_written_without_changing_it(cache, mnist_dir):
    load_dataset("mnist", data_dir=mnist_dir)
    once = load_dataset("mnist", data_dir=mnist_dir)
    before = once.train.x.clone()
    once.train.x.zero_()
    assert torch.equal(load_dataset("mnist", data_dir=mnist_dir).train.x, before)
