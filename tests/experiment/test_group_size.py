"""How large a group is when nobody says: the rule, and its bound on memory."""

from pathlib import Path

import pytest

from lottery_ticket.api import prepare
from lottery_ticket.experiment import group_size, import_user_code
from lottery_ticket.experiment.running.group import LARGEST_GROUP, fitting

NET = Path(__file__).with_name("noisy_net.py")
GIB = 2**30


def test_a_cpu_trains_one_by_one(tiny, tmp_path):
    assert group_size(tiny(), None, "cpu") == 1
    assert prepare(tiny(), store=tmp_path).context.group == 1
    assert prepare(tiny(), store=tmp_path, group=3).context.group == 3


def test_a_card_holds_as_many_as_fit_in_half_of_it(tiny):
    assert fitting(tiny(), None, 80 * GIB) == LARGEST_GROUP
    sizes = [fitting(tiny(), None, num * 2**20) for num in (0, 4, 8, 16, 32)]
    assert sizes[0] == 1  # one has to fit anyway
    assert sizes == sorted(sizes)
    assert 1 < sizes[2] < LARGEST_GROUP
    assert sizes[3] == pytest.approx(2 * sizes[2], abs=1)


def test_larger_batches_make_smaller_groups(tiny):
    small, large = (tiny(train={"batch_size": size}) for size in (64, 1400))
    assert fitting(large, None, 8 * 2**20) < fitting(small, None, 8 * 2**20)


def test_large_nets_and_nets_that_draw_are_trained_one_by_one(tiny):
    assert fitting(tiny(model={"hidden": [1000, 1000]}), None, 80 * GIB) == 1
    import_user_code((str(NET),))
    noisy = tiny(model={"name": "Noisy", "hidden": None}, prune={"levels": 1})
    assert fitting(noisy, None, 80 * GIB) == 1
