"""Law 9: a pruned model, mask at work or not, is a plain module; memory is flat over 30 levels."""

import copy
import functools
import gc
import pickle

import pytest
import torch
import torch.nn.functional as F
from contract_nets import NETS, built, train_steps
from torch import nn
from torch.nn.utils import prune as torch_prune

from lottery_ticket import LotteryTicketFinder
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import iterative, next_mask, prune, rewind_


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def check_zeros(model, mask):
    for name, kept in mask.items():
        assert not model.get_parameter(name)[~kept].any(), name


def check_copies(attach, case):
    """Copies are the same net without the mask; the original keeps it."""
    model = case.model
    mask = prune(model, density=0.3, scope="layerwise")
    optimizer = optimizer_of(model)
    attach(mask, model, optimizer)
    train_steps(model, case.batches, optimizer)
    fresh = built(case.net)
    assert list(model.state_dict()) == list(fresh.state_dict())
    fresh.load_state_dict(model.state_dict())
    x = case.batches[0][0]
    wanted = model.eval()(x)
    for other in (fresh, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(other) is type(model)
        assert torch.equal(other.eval()(x), wanted)
        check_zeros(other, mask)
        train_steps(other, case.batches)
        revived = [bool(other.get_parameter(name)[~kept].any()) for name, kept in mask.items()]
        assert all(revived), "the copy is masked too"
    train_steps(model, case.batches, optimizer)
    check_zeros(model, mask)


@pytest.mark.parametrize("net", NETS)
def test_copies_are_plain(net, case_of):
    check_copies(PruningMask.attach, case_of(net))


def reparametrises(mask, model, optimizer):
    for name, kept in mask.items():
        path, _, leaf = name.rpartition(".")
        torch_prune.custom_from_mask(model.get_submodule(path), leaf, kept)


def adds_buffers(mask, model, optimizer):
    mask.attach(model, optimizer)
    for name, kept in mask.items():
        model.register_buffer(f"{name.replace('.', '_')}_mask", kept)


def masks_in_forward(mask, model, optimizer):
    mask.apply(model)
    model.register_forward_pre_hook(functools.partial(apply_to, mask))


def apply_to(mask, module, inputs):
    mask.apply(module)


@pytest.mark.parametrize("net", ["MLP", "LeNet5"])
@pytest.mark.parametrize("mutant", [reparametrises, adds_buffers, masks_in_forward])
def test_other_forms_are_caught(mutant, net, case_of):
    with pytest.raises(AssertionError):
        check_copies(mutant, case_of(net))


def without_dropout_(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0


def check_compiled(attach, case):
    """Compiled, it trains as it does uncompiled, under the mask."""
    without_dropout_(case.model)
    plain = copy.deepcopy(case.model)
    mask = prune(plain, density=0.3, scope="layerwise")
    optimizer = optimizer_of(plain)
    with mask.attach(plain, optimizer):
        train_steps(plain, case.batches, optimizer)
    compiled = torch.compile(case.model, backend="aot_eager")
    optimizer = optimizer_of(compiled)
    attach(mask, compiled, optimizer)
    train_steps(compiled, case.batches, optimizer)
    check_zeros(case.model, mask)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(case.model.state_dict()[name], value)


@pytest.fixture(autouse=True)
def nothing_compiled():
    yield
    torch.compiler.reset()


COMPILED = [pytest.param(n, marks=[pytest.mark.slow] * (n == "ResNet20")) for n in NETS]


@pytest.mark.parametrize("net", COMPILED)
def test_compiled_models_train_under_the_mask(net, case_of):
    check_compiled(PruningMask.attach, case_of(net))


def to_a_copy(mask, model, optimizer):
    mask.apply(model)
    mask.attach(copy.deepcopy(model._orig_mod))


def too_late(mask, model, optimizer):
    optimizer.register_step_post_hook(lambda *_: mask.apply(model))


@pytest.mark.parametrize("mutant", [to_a_copy, too_late])
def test_other_ways_to_attach_are_caught(mutant, case_of):
    with pytest.raises(AssertionError):
        check_compiled(mutant, case_of("MLP"))


@pytest.fixture(scope="module")
def nothing_older():
    """The collector sees only what is made from here on: to go through all takes a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def num_live_bytes():
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def check_flat(sizes, allowed_bytes=0):
    """Level 30 needs no more than level 5, but for what is allowed per level."""
    assert len(sizes) == 31
    assert sizes[30] - sizes[5] <= 25 * allowed_bytes


def sizes_of_own_loop(next_mask, case):
    """Bytes alive at each level of a loop of one's own."""
    sizes, model = [], built(case.net)
    mask = PruningMask(model)
    shapes = {name: tuple(kept.shape) for name, kept in mask.items()}
    for keep in iterative(0.1, 30).budgets(shapes, scope="layerwise"):
        mask = next_mask("magnitude", mask, keep, model=model)
        rewind_(model, case.initial, mask)
        optimizer = optimizer_of(model)
        with mask.attach(model, optimizer, rewind_step=1):
            train_steps(model, case.batches, optimizer)
        sizes.append(num_live_bytes())
    return sizes


@pytest.mark.parametrize("net", ["MLP", "LSTM"])
@pytest.mark.usefixtures("nothing_older")
def test_memory_is_flat_in_a_loop_of_ones_own(net, case_of):
    check_flat(sizes_of_own_loop(next_mask, case_of(net)))


@pytest.mark.usefixtures("nothing_older")
def test_a_chain_that_keeps_its_masks_is_caught(case_of):
    past = []

    def remembers(*arguments, **given):
        past.append(next_mask(*arguments, **given))
        return past[-1]

    with pytest.raises(AssertionError):
        check_flat(sizes_of_own_loop(remembers, case_of("MLP")))


def sizes_of_search(case, at_level=lambda model: None):
    """Bytes alive at each level of a search."""
    sizes = []

    def eval_fn(model):
        at_level(model)
        sizes.append(num_live_bytes())
        with torch.no_grad():
            return -F.cross_entropy(model(case.batches[0][0]), case.batches[0][1]).item()

    LotteryTicketFinder(model_fn=functools.partial(built, case.net)).find_winning_ticket(
        train_fn=lambda model, mask: train_steps(model, case.batches),
        eval_fn=eval_fn,
        schedule=iterative(0.1, 30),
        scope="layerwise",
        verbose=False,
    )
    return sizes[1:]  # before the first: a trial of eval_fn


@pytest.mark.usefixtures("nothing_older")
def test_a_search_keeps_no_more_than_its_masks(case_of):
    case = case_of("MLP")
    mask_bytes = PruningMask(case.model).num_prunable
    check_flat(sizes_of_search(case), mask_bytes)
    past = []
    with pytest.raises(AssertionError):
        check_flat(sizes_of_search(case, lambda m: past.append(copy.deepcopy(m))), mask_bytes)


@pytest.mark.usefixtures("nothing_older")
def test_memory_of_a_search_is_flat(case_of):
    check_flat(sizes_of_search(case_of("MLP")))


@pytest.mark.usefixtures("nothing_older")
def test_memory_is_flat_over_attachments(case_of):
    model, sizes = case_of("MLP").model, []
    mask = prune(model, density=0.3)
    for _ in range(31):
        with mask.attach(model, optimizer_of(model), rewind_step=0):
            pass
        sizes.append(num_live_bytes())
    check_flat(sizes)
