"""ResNet-18 as for ImageNet, on photographs; its ticket is a seed and a mask."""

import functools

import pytest
import torch
import torch.nn.functional as F
from foreign_search import Task, check_search, check_ticket, searched

from lottery_ticket.models import ResNet18
from lottery_ticket.tickets import ModelOrigin

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def task(photographs):
    x, y = photographs
    batches = list(zip(x.split(8), y.split(8), strict=True))
    build = functools.partial(ResNet18, num_classes=10)

    def loss_of(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    return Task(build, batches, loss_of, epochs=2, lr=1e-3)


@pytest.fixture(scope="module")
def found(task):
    return searched(task, model_class=ResNet18, model_kwargs={"num_classes": 10})


def test_resnet_has_a_ticket(found, task):
    check_search(task, found)
    assert found.mask.num_prunable == 11_172_032
    assert len(found.mask) == 21


def test_ticket_of_the_resnet_is_a_seed_and_a_mask(found, task, tmp_path):
    drawn = found.finder.results.search.settings["origin"]
    origin = ModelOrigin.of(drawn["model"], drawn["seed"], **drawn["options"])
    path = tmp_path / "resnet.ticket.safetensors"
    ticket = check_ticket(found, origin, path, task.build)
    built = ticket.build().state_dict()
    assert all(torch.equal(value, built[name]) for name, value in ticket.weights().items())
    weights_bytes = 4 * found.mask.num_kept
    trained = sum(value.nbytes for n, value in built.items() if n not in found.mask)
    assert path.stat().st_size - weights_bytes - trained < found.mask.num_prunable / 8
