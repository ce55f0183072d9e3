import math

import pytest
import torch
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.train import OPTIMIZERS, SCHEDULES, learning_rate, make_optimizer
from lottery_ticket.train._optimizers import torch_class


def rates(schedule, steps, **options):
    return [learning_rate(s, base=0.8, schedule=schedule, total_steps=8, **options) for s in steps]


def test_constant():
    assert rates("constant", range(8)) == [0.8] * 8


def test_step():
    found = rates("step", range(8), milestones=[3, 6], gamma=0.5)
    assert found == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]
    assert rates("step", [0, 5]) == [0.8, 0.8]
    assert rates("step", [5], milestones=[5]) == [pytest.approx(0.08)]


def test_cosine():
    root = math.sqrt(0.5)
    wanted = [0.8, 0.4 * (1 + root), 0.4, 0.4 * (1 - root), 0.0]
    assert rates("cosine", [0, 2, 4, 6, 8]) == [pytest.approx(rate) for rate in wanted]


def test_warmup_multiplies_the_schedule():
    assert rates("constant", range(6), warmup_steps=4) == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    )
    found = rates("step", range(5), warmup_steps=4, milestones=[2], gamma=0.1)
    assert found == pytest.approx([0.2, 0.4, 0.06, 0.08, 0.08])
    plain = rates("cosine", range(8))
    warm = rates("cosine", range(8), warmup_steps=2)
    assert warm == [pytest.approx(plain[0] / 2), *plain[1:]]


def test_schedules_start_at_the_base_rate():
    assert set(SCHEDULES) == {"constant", "step", "cosine"}
    for schedule in SCHEDULES:
        assert rates(schedule, [0], milestones=[1]) == [0.8]


@pytest.mark.parametrize(
    ("name", "made", "options"),
    [
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("adam", torch.optim.Adam, {"betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.1}),
        ("adamw", torch.optim.AdamW, {"betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.1}),
    ],
)
def test_optimizers(name, made, options):
    optimizer = make_optimizer(name, nn.Linear(2, 1).parameters(), lr=0.3, **options)
    assert torch_class(optimizer) is made
    (group,) = optimizer.param_groups
    assert {key: group[key] for key in options} == options
    assert group["lr"] == 0.3
    assert len(group["params"]) == 2
    assert OPTIMIZERS[name][1] == set(options)


def test_optimizers_and_options_that_do_not_exist():
    parameters = list(nn.Linear(2, 1).parameters())
    with pytest.raises(UsageError, match="unknown optimizer 'adamm'; did you mean 'adam"):
        make_optimizer("adamm", parameters, lr=0.1)
    with pytest.raises(UsageError, match="momentum has no effect with adam; it takes"):
        make_optimizer("adam", parameters, lr=0.1, momentum=0.9)
    with pytest.raises(UsageError, match="betas has no effect with sgd"):
        make_optimizer("sgd", parameters, lr=0.1, betas=(0.9, 0.99))
