"""Decoded images are kept on disk, and never instead of what the files hold."""

import os

import platformdirs
import pytest
import torch

from lottery_ticket.data import load_dataset
from lottery_ticket.errors import DataError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache; its folder."""
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "user")
    return tmp_path / "user" / "decoded"


@pytest.fixture
def mnist_dir(tmp_path, write_mnist):
    """Four megabytes and a half: enough for the cache."""
    write_mnist(tmp_path / "sets" / "mnist", num_train=6000)
    return tmp_path / "sets"


def check_same(found, wanted):
    assert found.digest == wanted.digest
    for part in ("train", "validation", "test"):
        one, other = getattr(found, part), getattr(wanted, part)
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.y, other.y)


def overwrite(folder, *, is_noticed):
    """Other bytes in each file, at another time or at the same."""
    for path in folder.iterdir():
        times = path.stat()
        path.write_bytes(bytes(times.st_size))
        if not is_noticed:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("validation", [0, 2])
def test_the_second_time_nothing_is_decoded(validation, cache, mnist_dir):
    first = load_dataset("mnist", data_dir=mnist_dir, validation=validation)
    assert len(list(cache.iterdir())) == 1
    overwrite(mnist_dir / "mnist", is_noticed=False)
    check_same(load_dataset("mnist", data_dir=mnist_dir, validation=validation), first)


def test_changed_files_are_decoded_again(cache, mnist_dir):
    load_dataset("mnist", data_dir=mnist_dir)
    overwrite(mnist_dir / "mnist", is_noticed=True)
    with pytest.raises(DataError, match="not the IDX file wanted"):
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


def test_small_files_are_not_kept(cache, tmp_path, write_mnist):
    write_mnist(tmp_path / "few" / "mnist")
    load_dataset("mnist", data_dir=tmp_path / "few")
    assert not cache.exists()


def test_what_is_mapped_can_be_written_without_changing_it(cache, mnist_dir):
    load_dataset("mnist", data_dir=mnist_dir)
    once = load_dataset("mnist", data_dir=mnist_dir)
    before = once.train.x.clone()
    once.train.x.zero_()
    assert torch.equal(load_dataset("mnist", data_dir=mnist_dir).train.x, before)
