import hashlib

import pytest
import torch

from lottery_ticket.seeds import derive, generator


def test_pinned():
    assert derive(0, "init") == 2410301491197795094
    assert derive(0, "order", 1) == 1142075107914471745
    assert derive(7, "mask", "x", 2) == 8027166629184634568
    digest = hashlib.sha256(b"0\x1fstr:init").hexdigest()
    assert derive(0, "init") == int(digest[:16], 16) // 2
    assert torch.randperm(6, generator=generator(0, "init")).tolist() == [2, 4, 0, 3, 1, 5]


PATHS = [
    (), (0,), (1,), ("0",), ("init",), ("order",), ("order", 0), ("order", 1), ("order", "1"),
    ("order1",), (1, "order"), ("order", 1, 0), ("order", 10), ("mask", -1),
]  # fmt: skip


def check_streams_are_independent(derive):
    seeds = [derive(root, *path) for root in (0, 1, 10, -1) for path in PATHS]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_are_independent():
    check_streams_are_independent(derive)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda root, *path: (root + sum(map(len, map(str, path)))) % 2**63,
        lambda root, *path: derive(0, *path),
        lambda root, *path: derive(root, *map(str, path)),  # 1 and "1" are one stream
        lambda root, *path: derive(root, "".join(map(str, path))),
        lambda root, *path: derive(root, *sorted(path, key=str)),
    ],
)
def test_shared_streams_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_streams_are_independent(mutant)


def test_generators_are_fresh_and_the_callers_state_stays():
    before = torch.get_rng_state()
    first, again = generator(3, "mask"), generator(3, "mask")
    assert first is not again
    assert torch.rand(4, generator=first).tolist() == torch.rand(4, generator=again).tolist()
    assert torch.equal(torch.get_rng_state(), before)
    assert first.device.type == "cpu"
    assert generator(5).initial_seed() == 5
    assert generator(5, "mask").initial_seed() == derive(5, "mask")
