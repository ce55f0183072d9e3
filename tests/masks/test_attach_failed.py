"""An attach that fails leaves everything as it was: weights, gradients, memory, hooks."""

import copy
import re
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import optimizer as torch_optimizer

from lottery_ticket import LotteryError
from lottery_ticket.masks import Budget, MaskPolicy, PruningMask, select


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(6, 8, sparse=True)
        self.one, self.two = nn.Linear(8, 12), nn.Linear(12, 3, bias=False)
        self.norm = nn.BatchNorm1d(12)

    def forward(self, x):
        return self.two(F.relu(self.norm(self.one(x))))


def net():
    torch.manual_seed(0)
    return Net()


def half_of(model, names=("one.weight", "two.weight")):
    stream = torch.Generator().manual_seed(1)
    scores = {n: torch.rand(model.get_parameter(n).shape, generator=stream) for n in names}
    ones = {n: torch.ones(s.shape, dtype=torch.bool) for n, s in scores.items()}
    ones = PruningMask.from_tensors(ones)
    return select(scores, ones, Budget(ones.num_prunable // 2))


def adam(model):
    return torch.optim.Adam(model.two.parameters(), lr=0.1, weight_decay=0.1)


def in_use():
    """A model in the middle of a training by others: memory, gradients, a frozen layer, hooks."""
    model = net()
    optimizer = adam(model)
    for _ in range(2):
        F.cross_entropy(model(torch.randn(16, 8)), torch.randint(3, (16,))).backward()
        optimizer.step()
    model.one.weight.requires_grad_(False)
    model.two.weight.register_post_accumulate_grad_hook(print)
    model.one.register_load_state_dict_post_hook(print)
    return model, optimizer


def everything(model, optimizer):
    """What must not change, as values that can be compared."""
    tensors = {name: (value, value.detach().clone()) for name, value in state_of(model).items()}
    memory = copy.deepcopy(optimizer.state_dict()) if optimizer else None
    hooks = [
        dict(torch_optimizer._global_optimizer_pre_hooks),
        dict(torch_optimizer._global_optimizer_post_hooks),
        *(dict(m._load_state_dict_post_hooks) for m in model.modules()),
        *(dict(p._post_accumulate_grad_hooks or {}) for p in model.parameters()),
    ]
    hooks += [dict(value) for key, value in vars(optimizer or model).items() if "hooks" in key]
    trained = {name: p.requires_grad for name, p in model.named_parameters()}
    return tensors, memory, hooks, trained


def state_of(model):
    grads = {f"{n}.grad": p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {**model.state_dict(keep_vars=True), **grads}


def check_untouched(before, model, optimizer):
    after = everything(model, optimizer)
    assert set(before[0]) == set(after[0])
    for name, (value, copied) in before[0].items():
        assert after[0][name][0] is value, f"{name} is another tensor"
        if value.layout == torch.strided and not value.is_meta:
            bits = [x.contiguous().ravel().view(torch.uint8) for x in (value.detach(), copied)]
            assert torch.equal(*bits), f"{name} has changed"
    for index, values in (before[1] or {"state": {}})["state"].items():
        for key, value in values.items():
            assert torch.equal(after[1]["state"][index][key], value), f"{key} has changed"
    assert before[2:] == after[2:], "hooks, or what is trained"


class Failing(MaskPolicy):
    """Fails at one of its methods, or says what is no mask; maybe after it has pruned."""

    def __init__(self, where):
        self.where = where

    def _fails_in(self, where):
        if self.where == where:
            raise RuntimeError("no")

    def is_due(self, step):
        self._fails_in("is_due")
        return True

    def wants_gradients(self, step):
        self._fails_in(f"wants_gradients {step}")
        return False

    def next_mask(self, moment):
        self._fails_in("next_mask")
        if self.where == "another mask":
            return {"one.weight": torch.ones(12, 8, dtype=torch.bool)}
        return {name: torch.zeros_like(kept) for name, kept in moment.mask.items()}


def attach_with(**options):
    return lambda model, optimizer: half_of(model).attach(model, optimizer, **options)


def mask_of(name, shape, **options):
    mask = PruningMask.from_tensors({name: torch.zeros(shape, dtype=torch.bool)})
    return lambda model, optimizer: mask.attach(model, **options)


def both(name, shape):
    """A good layer first, then one that fails."""

    def attach(model, optimizer):
        mask = {**half_of(model), name: torch.zeros(shape, dtype=torch.bool)}
        PruningMask.from_tensors(mask).attach(model, optimizer)

    return attach


def with_parameter(value):
    """After a good layer comes this one."""

    def attach(model, optimizer):
        model.odd = nn.Linear(1, 1, bias=False)
        del model.odd.weight
        model.odd.weight = nn.Parameter(value(), requires_grad=False)
        before = everything(model, optimizer)
        try:
            both("odd.weight", model.odd.weight.shape)(model, optimizer)
        finally:
            check_untouched(before, model, optimizer)
            del model.odd

    return attach


def with_sparse_gradient(model, optimizer):
    model.bag(torch.tensor([[1, 2]])).sum().backward()
    try:
        both("bag.weight", (6, 8))(model, optimizer)
    finally:
        assert model.bag.weight.grad.is_sparse
        model.bag.weight.grad = None


def with_shape(model, optimizer):
    return both("norm.weight", (5,))(model, optimizer)


def with_inference():
    with torch.inference_mode():
        return torch.ones(2, 2)


class FullyShardedDataParallel(nn.Module):
    """Known by its name: importing that of torch takes long."""


def sharded(model, optimizer):
    model.add_module("shard", FullyShardedDataParallel())
    try:
        half_of(model).attach(model, optimizer)
    finally:
        del model.shard


FAILURES = {
    "another optimiser": lambda m, _: half_of(m).attach(m, adam(net())),
    "no optimiser": lambda m, _: half_of(m).attach(m, "adam"),
    "an optimiser's class": lambda m, _: half_of(m).attach(m, torch.optim.Adam),
    "a scheduler": lambda m, o: half_of(m).attach(m, torch.optim.lr_scheduler.StepLR(o, 1)),
    "start_step": attach_with(start_step=-1),
    "rewind_step": attach_with(rewind_step=2.5),
    "rewind before start": attach_with(rewind_step=1, start_step=2),
    "rewind without optimiser": lambda m, _: half_of(m).attach(m, rewind_step=3),
    "policy without optimiser": lambda m, _: half_of(m).attach(m, policy=Failing("never")),
    "keyword": attach_with(rewind=2),
    "another model": mask_of("three.weight", (2, 2)),
    "another shape": mask_of("one.weight", (2, 2)),
    "another shape later": with_shape,
    "another name later": both("norm.wait", (12,)),
    "sparse gradient": with_sparse_gradient,
    "complex128": with_parameter(lambda: torch.ones(2, 2, dtype=torch.complex128)),
    "integers": with_parameter(lambda: torch.ones(2, 2, dtype=torch.int32)),
    "meta": with_parameter(lambda: torch.ones(2, 2, device="meta")),
    "sparse weights": with_parameter(lambda: torch.ones(2, 2).to_sparse()),
    "inference": with_parameter(with_inference),
    "overlapping": with_parameter(lambda: torch.ones(2, 1).expand(2, 3)),
    "sharded": sharded,
    **{
        f"policy {where}": attach_with(policy=Failing(where))
        for where in ("is_due", "wants_gradients 1", "next_mask", "another mask")
    },
}


@pytest.mark.parametrize("failure", FAILURES)
def test_nothing_has_changed(failure):
    model, optimizer = in_use()
    before = everything(model, optimizer)
    rows = r"policy (is_due|wants_g)"
    expected = Exception if re.match(rows, failure) else LotteryError
    with pytest.raises(expected):
        FAILURES[failure](model, optimizer)
    check_untouched(before, model, optimizer)


def test_a_policy_that_has_pruned_all_before_it_failed():
    """Kept weights too are as they were."""
    model, optimizer = in_use()
    before = everything(model, optimizer)
    seen = []

    class Late(Failing):
        def wants_gradients(self, step):
            seen.append(bool(model.one.weight.any()))
            return super().wants_gradients(step)

    with pytest.raises(RuntimeError, match="no"):
        half_of(model).attach(model, optimizer, policy=Late("wants_gradients 1"))
    assert False in seen, "it has pruned nothing"
    check_untouched(before, model, optimizer)


def test_what_works_does_change_it():
    """The mutant: these tests would see a mask that is held, and then one that is detached."""
    model, optimizer = in_use()
    before = everything(model, optimizer)
    attached = half_of(model).attach(model, optimizer)
    with pytest.raises(AssertionError, match=r"one.weight has changed"):
        check_untouched(before, model, optimizer)
    attached.detach()
    for name, (value, copied) in before[0].items():
        if not name.endswith("grad"):
            with torch.no_grad():
                value.copy_(copied)
    with pytest.raises(AssertionError, match=r"weight.grad has changed"):
        check_untouched(before, model, optimizer)


def test_hooks_are_seen_by_these_tests():
    model, optimizer = in_use()
    half_of(model).apply(model)
    model.zero_grad()
    optimizer.state.clear()
    before = everything(model, optimizer)
    half_of(model).attach(model, optimizer)
    with pytest.raises(AssertionError, match="hooks"):
        check_untouched(before, model, optimizer)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("complex128", r"'odd.weight' is of torch.complex128: use one of at most 8 bytes"),
        ("integers", r"'odd.weight' is of torch.int32, which is not trained"),
        ("meta", r"'odd.weight' has no values yet \(device meta\)"),
        ("sparse weights", r"'odd.weight' has the layout torch.sparse_coo"),
        ("inference", r"'odd.weight' was made under torch.inference_mode\(\)"),
        ("sparse gradient", r"'bag.weight' has a torch.sparse_coo gradient; .*sparse=False"),
        ("overlapping", r"'odd.weight' is an expanded view, .* clone it"),
        ("sharded", r"is a FullyShardedDataParallel, and FSDP keeps .* train with DDP"),
        ("policy next_mask", r"the policy Failing failed at step 0: RuntimeError: no"),
    ],
)
def test_says_what_and_what_to_do(failure, message):
    model, optimizer = in_use()
    with pytest.raises(LotteryError, match=message):
        FAILURES[failure](model, optimizer)


def test_a_failure_that_nobody_foresaw(monkeypatch):
    """The last of the hooks cannot be made: those before it are taken off."""
    model, optimizer = in_use()
    before = everything(model, optimizer)
    monkeypatch.setattr(type(model.two), "register_load_state_dict_post_hook", None)
    with pytest.raises(TypeError):
        half_of(model).attach(model, optimizer)
    monkeypatch.undo()
    check_untouched(before, model, optimizer)


def test_sharded_parameters_are_refused(tmp_path, monkeypatch):
    """FSDP2 itself, of one process."""
    from torch import distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        model = net()
        mask = half_of(model)
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
        with pytest.raises(LotteryError, match=r"'one.weight' is a DTensor, in pieces .*with DDP"):
            mask.attach(model)
    finally:
        dist.destroy_process_group()
