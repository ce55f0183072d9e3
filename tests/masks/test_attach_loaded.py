"""Zeros hold where a checkpoint is loaded, or anything else is written, under an attached mask."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.module import _IncompatibleKeys

from lottery_ticket.masks import Budget, PruningMask, find_parameters, select

OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU())
        self.head = nn.Linear(12, 3, bias=False)

    def forward(self, x):
        return self.head(self.body(x))


def net():
    torch.manual_seed(0)
    return Net()


def half_of(model):
    stream = torch.Generator().manual_seed(1)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return select(scores, ones, Budget(ones.num_prunable // 2))


def loss_of(model):
    return F.cross_entropy(model(torch.randn(16, 8)), torch.randint(3, (16,)))


def step(model, optimizer):
    optimizer.zero_grad()
    loss_of(model).backward()
    optimizer.step()


def check_zero(model, mask, optimizer=None):
    for name, parameter in find_parameters(model, mask).items():
        kept = mask[name]
        assert not parameter[~kept].any(), f"{name} came back"
        assert parameter[kept].any()
        assert parameter.grad is None or not parameter.grad[~kept].any(), f"the gradient of {name}"
        for key, value in optimizer.state[parameter].items() if optimizer else ():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                assert not value[~kept].any(), f"{key} of {name}"


def dense_of(module):
    return {
        name: torch.rand_like(value) if value.is_floating_point() else value
        for name, value in module.state_dict().items()
    }


def in_place(model):
    model.load_state_dict(dense_of(model))


def assigned(model):
    model.load_state_dict(dense_of(model), assign=True)


def partly(model):
    model.load_state_dict({"head.weight": torch.rand(3, 12)}, strict=False)


def of_a_part(model):
    model.body.load_state_dict(dense_of(model.body))


def of_a_layer(model):
    model.head.load_state_dict(dense_of(model.head), assign=True)


def through_a_wrapper(model):
    wrapper = nn.DataParallel(model)
    wrapper.load_state_dict(dense_of(wrapper))


def by_swapping(model):
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        model.load_state_dict(dense_of(model))
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


LOADING = [in_place, assigned, partly, of_a_part, of_a_layer, through_a_wrapper, by_swapping]


def check_zero_when_loaded(attach, load, num_steps=0):
    """Before any use of what was loaded: the next forward pass sees zeros."""
    model = net()
    mask = half_of(model)
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    attach(mask, model, optimizer)
    for _ in range(num_steps):
        step(model, optimizer)
    load(model)
    check_zero(model, mask)
    model.zero_grad()
    loss_of(model).backward()
    check_zero(model, mask)
    made = OPTIMIZERS["AdamW"](model.parameters())
    for _ in range(2):
        step(model, made)
        check_zero(model, mask, made)


@pytest.mark.parametrize("num_steps", [0, 2])
@pytest.mark.parametrize("load", LOADING)
def test_zeros_hold_when_a_checkpoint_is_loaded(load, num_steps):
    check_zero_when_loaded(PruningMask.attach, load, num_steps)


def before_steps_alone(mask, model, optimizer):
    """Mutant: as it was, what is loaded is seen when the optimiser steps."""
    mask.apply(model)
    optimizer.register_step_pre_hook(lambda *_: mask.apply(model))


def after_loading_the_model_alone(mask, model, optimizer):
    """Mutant: a hook on the model does not see its parts."""
    mask.attach(model, optimizer)
    for module in model.modules():
        module._load_state_dict_post_hooks.clear()
    hook = lambda *_: mask.apply(model)  # noqa: E731
    model.register_load_state_dict_post_hook(hook)


def test_other_ways_to_see_loading_are_caught():
    for mutant, load in (
        (before_steps_alone, in_place),
        (before_steps_alone, assigned),
        (after_loading_the_model_alone, of_a_part),
        (after_loading_the_model_alone, of_a_layer),
    ):
        with pytest.raises(AssertionError, match="came back"):
            check_zero_when_loaded(mutant, load)


def test_what_was_loaded_is_said():
    model = net()
    attached = half_of(model).attach(model)
    in_place(model)
    assert (attached.written, attached.overwritten) == (["body.0.weight", "head.weight"], [])
    in_place(model)
    of_a_layer(model)
    assert attached.written == ["body.0.weight", "head.weight"]
    assert attached.overwritten == ["head.weight"]
    attached.detach()
    masked = net()
    mask = half_of(masked)
    mask.apply(masked)
    with mask.attach(masked) as attached:
        masked.load_state_dict(copy.deepcopy(masked.state_dict()))
    assert attached.written == [], "there was nothing to set to zero"


def writes(model):
    for parameter in model.parameters():
        nn.init.uniform_(parameter)


def clamps_and_shifts(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.clamp_(-1, 1).add_(0.1)


def copies_an_average(model):
    other = Net()
    with torch.no_grad():
        torch._foreach_copy_(list(model.parameters()), list(other.parameters()))


@pytest.mark.parametrize("is_given", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("write", [writes, clamps_and_shifts, copies_an_average])
def test_what_is_written_otherwise_is_zero_before_the_next_step(write, optimizer, is_given):
    model = net()
    mask = half_of(model)
    made = OPTIMIZERS[optimizer](model.parameters())
    attached = mask.attach(model, made if is_given else None)
    for number in range(6):
        if number in (0, 3, 4):
            write(model)
        step(model, made)
        check_zero(model, mask, made)
    assert attached.written == ["body.0.weight", "head.weight"]


@pytest.mark.parametrize("is_given", [True, False])
def test_an_optimizers_memory_that_is_loaded_at_any_time(is_given):
    """Of one that is not counted too: before its next step."""
    model = net()
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    step(model, optimizer)
    dense = copy.deepcopy(optimizer.state_dict())
    mask = half_of(model)
    mask.attach(model, optimizer if is_given else None)
    for _ in range(3):
        step(model, optimizer)
        optimizer.load_state_dict(copy.deepcopy(dense))
        step(model, optimizer)
        check_zero(model, mask, optimizer)


def test_evaluation_right_after_loading():
    model = net().eval()
    mask = half_of(model)
    x = torch.randn(4, 8)
    wanted = net().eval()
    state = dense_of(model)
    wanted.load_state_dict(state)
    mask.apply(wanted)
    with mask.attach(model):
        model.load_state_dict(state)
        assert torch.equal(model(x), wanted(x))


def test_hooks_of_others_are_left_alone_and_ours_go():
    model = net()
    told = []

    def tell(module, keys):
        told.append(keys)

    model.head.register_load_state_dict_post_hook(tell)
    attached = half_of(model).attach(model)
    later = model.head.register_load_state_dict_post_hook(tell)
    in_place(model)
    assert [type(keys) for keys in told] == [_IncompatibleKeys] * 2
    later.remove()
    attached.detach()
    hooks = [dict(m._load_state_dict_post_hooks) for m in model.modules()]
    assert [list(each.values()) for each in hooks if each] == [[tell]]
    in_place(model)
    assert attached.revived(), "a detached mask is over"


def copied(model):
    return copy.deepcopy(model)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    buffer = io.BytesIO()
    torch.save(model, buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)


@pytest.mark.parametrize("copy_of", [copied, pickled, saved, lambda m: pickled(copied(copied(m)))])
def test_copies_load_freely(copy_of):
    """Law 9: a copy is a plain model, and the original goes on."""
    model = net()
    mask = half_of(model)
    attached = mask.attach(model)
    twin = copy_of(model)
    in_place(twin)
    assert twin.head.weight[~mask["head.weight"]].any()
    assert list(twin.state_dict()) == list(net().state_dict())
    in_place(model)
    check_zero(model, mask)
    attached.detach()
    twin = copy_of(model)
    assert not any(module._load_state_dict_post_hooks for module in twin.modules())


def test_a_pickle_is_read_without_this_library(tmp_path):
    model = nn.Sequential(nn.Linear(4, 2))
    PruningMask(model).attach(model)  # of which nothing is pruned
    mask = PruningMask.from_tensors({"0.weight": torch.eye(4)[:2].bool()})
    mask.attach(model)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    program = (
        "import pickle, sys, torch\n"
        f"model = pickle.load(open({str(tmp_path / 'model.pkl')!r}, 'rb'))\n"
        "model.load_state_dict({n: torch.ones_like(v) for n, v in model.state_dict().items()})\n"
        "assert model[0].weight.all() and 'lottery_ticket' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_through_compile():
    model = net()
    mask = half_of(model)
    compiled = torch.compile(model, backend="eager")
    optimizer = OPTIMIZERS["AdamW"](compiled.parameters())
    with mask.attach(compiled, optimizer):
        step(compiled, optimizer)
        frames = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        in_place(compiled)
        check_zero(compiled, mask)
        step(compiled, optimizer)
        check_zero(model, mask, optimizer)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == frames, "compiled anew"
