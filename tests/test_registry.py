import functools
import hashlib
import textwrap
from pathlib import Path

import pytest
import torch

from lottery_ticket.errors import (
    DataError,
    LotteryError,
    StoreError,
    TrainingError,
    UsageError,
    nearest,
)
from lottery_ticket.registry import Registry


def filled():
    registry = Registry("model")
    registry.register("LeNet300")(len)
    registry.register("Conv4")(max)
    return registry


def mine():
    return 1


def test_is_a_table():
    registry = filled()
    assert list(registry) == ["LeNet300", "Conv4"]
    assert registry["Conv4"] is max
    assert "Conv4" in registry
    assert "Conv5" not in registry
    assert registry.register("x")(min) is min


@pytest.mark.parametrize("look_up", [Registry.__getitem__, Registry.entry])
def test_an_unknown_name_names_the_nearest(look_up):
    with pytest.raises(UsageError, match=r"unknown model 'Lenet300'; did you mean 'LeNet300'\?"):
        look_up(filled(), "Lenet300")
    with pytest.raises(UsageError, match="unknown model 'ViT'; valid: Conv4, LeNet300"):
        look_up(filled(), "ViT")


def test_the_librarys_names_are_taken():
    registry = filled()
    for is_user in (True, False):
        with pytest.raises(UsageError, match="model 'Conv4' is already registered; choose another"):
            registry.register("Conv4", is_user=is_user)(min)
    assert registry["Conv4"] is max


def test_a_user_may_register_anew():
    """A notebook cell is run twice."""
    registry = filled()
    registry.register("mine", is_user=True)(min)
    registry.register("mine", is_user=True)(mine)
    assert registry["mine"] is mine
    assert registry.user_entries() == {"mine": mine}
    with pytest.raises(UsageError, match="already registered"):
        registry.register("mine")(min)


def test_source_hash_is_of_the_whole_file():
    registry = filled()
    registry.register("mine", is_user=True)(mine)
    here = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert registry.entry("mine").source_hash() == here
    assert registry.entry("Conv4").source_hash() is None


@torch.no_grad()
def decorated():
    """Wrapped by code of another file."""


def test_source_hash_is_of_what_is_decorated_and_of_all_parts():
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    registry = Registry("thing", code=lambda parts: parts)
    for name, parts in (
        ("decorated", (decorated,)),
        ("partial", (functools.partial(decorated),)),
        ("both", (decorated, decorated)),
        ("none", ()),
    ):
        registry.add(name, parts, is_user=True)
    found = {name: registry.entry(name).source_hash() for name in registry}
    twice = hashlib.sha256(2 * Path(__file__).read_bytes()).hexdigest()
    assert found == {"decorated": own, "partial": own, "both": twice, "none": None}


def test_a_users_may_be_removed_and_the_librarys_may_not():
    registry = filled()
    registry.add("mine", len, is_user=True)
    registry.remove("mine")
    assert "mine" not in registry
    with pytest.raises(UsageError, match="is the library's own"):
        registry.remove(next(iter(registry)))


def test_a_table_is_as_it_was_after_a_block():
    registry = filled()
    before, number = set(registry), len(registry)

    def add_and_fail():
        with registry.restored():
            registry.add("mine", len)
            registry.add("mine", min)

    with pytest.raises(UsageError, match="already registered"):
        add_and_fail()
    assert (set(registry), len(registry)) == (before, number)


def test_a_source_that_cannot_be_read():
    scope = {}
    exec(textwrap.dedent("def typed(): return 1"), scope)
    registry = filled()
    registry.register("typed", is_user=True)(scope["typed"])
    registry.register("builtin", is_user=True)(len)
    for name in ("typed", "builtin"):
        with pytest.raises(UsageError, match=f"'{name}': its source cannot be read"):
            registry.entry(name).source_hash()


@pytest.mark.parametrize(
    ("name", "valid", "hint"),
    [
        ("lenet-mnst", ["lenet-mnist", "quickstart"], "; did you mean 'lenet-mnist'?"),
        ("zzz", ["b", "a"], "; valid: a, b"),
        ("zzz", [], ""),
    ],
)
def test_nearest(name, valid, hint):
    assert nearest(name, valid) == hint
    assert nearest(name, iter(valid)) == hint


def test_exit_codes():
    errors = (LotteryError, UsageError, DataError, StoreError, TrainingError)
    assert [error.exit_code for error in errors] == [1, 2, 1, 1, 1]
    assert all(issubclass(error, LotteryError) for error in errors)
    assert issubclass(UsageError, ValueError)
