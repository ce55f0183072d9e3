"""`attach` and all that takes an optimiser, where a trainer has wrapped it; counts of steps."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import StepLR

from lottery_ticket import UsageError
from lottery_ticket.masks import Budget, PruningMask, select
from lottery_ticket.pruning import GradualPruner, polynomial, rewind_optimizer_


class Accelerated(torch.optim.Optimizer):
    """As accelerate has it: an `Optimizer` by isinstance, without its constructor and hooks."""

    def __init__(self, optimizer):
        self.optimizer = optimizer
        self.is_accumulating = False

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    @property
    def state(self):
        return self.optimizer.state

    @property
    def defaults(self):
        return self.optimizer.defaults

    def zero_grad(self, set_to_none=True):
        self.optimizer.zero_grad(set_to_none)

    def step(self, closure=None):
        if not self.is_accumulating:
            self.optimizer.step(closure)


class Imitating:
    """As Lightning has it: takes on the class of what it wraps, and hands on what it has not."""

    def __init__(self, optimizer):
        self._optimizer = optimizer
        self.__class__ = type("Imitating", (type(self), type(optimizer)), {})

    @property
    def optimizer(self):
        return self._optimizer

    def step(self, closure=None, **options):
        return self._optimizer.step(closure=closure, **options)

    def __getattr__(self, name):
        return getattr(self._optimizer, name)


class Engine(Accelerated):
    """As DeepSpeed's is: the step is made elsewhere."""

    def step(self):
        """Nothing."""


def plain(optimizer):
    return optimizer


def twice(optimizer):
    return Imitating(Accelerated(optimizer))


WRAPPERS = [plain, Accelerated, Imitating, twice]


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3, bias=False))


def half_of(model):
    stream = torch.Generator().manual_seed(1)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return select(scores, ones, Budget(ones.num_prunable // 2))


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)


def loss_of(model):
    return F.cross_entropy(model(torch.randn(16, 8)), torch.randint(3, (16,)))


def step(model, optimizer):
    optimizer.zero_grad()
    loss_of(model).backward()
    optimizer.step()


def check_zero(model, mask, optimizer):
    for name, kept in mask.items():
        parameter = model.get_parameter(name)
        assert not parameter[~kept].any(), f"{name} came back"
        assert parameter[kept].any()
        for key, value in optimizer.state[parameter].items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                assert not value[~kept].any(), f"{key} of {name}"


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrapped_optimizers_are_counted_and_held(wrap):
    model = net()
    mask, inner = half_of(model), sgd(model)
    step(model, inner)
    wrapped = wrap(inner)
    with mask.attach(model, wrapped, rewind_step=2) as attached:
        check_zero(model, mask, inner)
        assert attached.follows(wrapped)
        assert attached.follows(inner)
        assert attached.is_trained_by(wrapped)
        assert attached.optimizers == [inner]
        attached.follow(wrapped)
        for _ in range(3):
            step(model, wrapped)
            check_zero(model, mask, inner)
    assert attached.num_steps == 3
    assert len(attached.rewind_point.optimizer_state) == 3
    assert not inner._optimizer_step_post_hooks


def test_steps_that_a_wrapper_leaves_out_are_none():
    model = net()
    wrapped = Accelerated(sgd(model))
    with half_of(model).attach(model, wrapped) as attached:
        for number in range(6):
            wrapped.is_accumulating = number % 3 != 2
            step(model, wrapped)
    assert attached.num_steps == 2


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_following_later(wrap):
    model = net()
    attached = half_of(model).attach(model)
    other = wrap(sgd(net()))
    assert not attached.is_trained_by(other)
    assert not attached.follows(other)
    with pytest.raises(UsageError, match="SGD trains none of the 2 masked parameters"):
        attached.follow(other)
    wrapped = wrap(sgd(model))
    attached.follow(wrapped)
    step(model, wrapped)
    assert attached.num_steps == 1


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_gradual_pruning_through_a_wrapper(wrap):
    model = net()
    inner = sgd(model)
    wrapped = wrap(inner)
    with GradualPruner(model, wrapped, polynomial(0.75, end_step=4, every_steps=2)) as pruner:
        for _ in range(4):
            step(model, wrapped)
            check_zero(model, pruner.mask, inner)
    assert (pruner.num_steps, pruner.mask.num_kept) == (4, 33)


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_rewinding_the_memory_of_a_wrapped_optimizer(wrap):
    model = net()
    mask, inner = half_of(model), sgd(model)
    step(model, inner)
    wanted = {i: dict(memory) for i, memory in inner.state_dict()["state"].items()}
    other = net()
    rewound = sgd(other)
    rewind_optimizer_(wrap(rewound), wanted, other, mask)
    check_zero(other, PruningMask(other), rewound)
    for name, kept in mask.items():
        memory = rewound.state[other.get_parameter(name)]["momentum_buffer"]
        before = inner.state[model.get_parameter(name)]["momentum_buffer"]
        assert torch.equal(memory, before * kept)


class EightBits(torch.optim.SGD):
    """As bitsandbytes remembers: a code for each weight, of which 0 is no zero."""

    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter].setdefault("state1", torch.full_like(parameter, 127).byte())
        return super().step(closure)


@pytest.mark.parametrize("freeze_to", [None, True])
def test_codes_of_memory_are_left_alone(freeze_to):
    model = net()
    optimizer = EightBits(model.parameters(), lr=0.1, weight_decay=0.1)
    step(model, optimizer)
    with half_of(model).attach(model, optimizer, freeze_to=freeze_to):
        step(model, optimizer)
        assert all((optimizer.state[p]["state1"] == 127).all() for p in model.parameters())


def test_a_scheduler_that_patches_step_changes_nothing():
    model = net()
    wrapped = Accelerated(sgd(model))
    scheduler = StepLR(wrapped.optimizer, 1)
    with half_of(model).attach(model, wrapped) as attached:
        for _ in range(3):
            step(model, wrapped)
            scheduler.step()
    assert attached.num_steps == 3


def test_engines_are_refused_with_what_to_do():
    model = net()
    inner = sgd(model)
    for refused in (Engine(inner), Accelerated(Engine(inner)), Imitating(inner)):
        if isinstance(refused, Imitating):
            refused._optimizer = Engine(inner)
        with pytest.raises(UsageError, match=r"Engine.step\(\) trains nothing: an engine.*DDP"):
            half_of(model).attach(model, refused)
    Engine.__module__, before = "deepspeed.runtime.zero.stage3", Engine.__module__
    try:
        Engine.step = lambda self: print(self)
        with pytest.raises(UsageError, match="trains nothing"):
            half_of(model).attach(model, Engine(inner))
    finally:
        Engine.__module__ = before
        del Engine.step


class Holder:
    """What holds something in `.optimizer` that is none either."""

    def __init__(self, optimizer=None):
        self.optimizer = optimizer


def test_what_is_no_optimizer_is_said():
    model = net()
    mask = half_of(model)
    loop = Holder()
    loop.optimizer = loop
    for wrong, name in (
        ("adam", "str"),
        (3, "int"),
        ([sgd(model)], "list"),
        (model, "Sequential"),
        (Holder(), "Holder"),
        (Holder("adam"), "Holder"),
        (loop, "Holder"),
        (StepLR(sgd(model), 1), "StepLR"),
    ):
        with pytest.raises(UsageError, match=f"got a {name}, wanted a torch optimizer"):
            mask.attach(model, wrong)
    with pytest.raises(UsageError, match=r"got the class AdamW, .* AdamW\(model.parameters"):
        mask.attach(model, torch.optim.AdamW)
    with mask.attach(model) as attached:
        for ask in (attached.follow, attached.follows, attached.is_trained_by):
            with pytest.raises(UsageError, match=f"{ask.__name__}: got a str, wanted a torch opt"):
                ask("adam")


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("is_fused", [False, True])
def test_steps_that_overflow_skips_are_not_counted(wrap, is_fused):
    model = net()
    mask = half_of(model)
    inner = torch.optim.Adam(model.parameters(), lr=0.01, fused=is_fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with mask.attach(model, wrap(inner), rewind_step=4) as attached:
        for number in range(8):
            inner.zero_grad()
            value = loss_of(model) * (float("inf") if number in (1, 4) else 1)
            scaler.scale(value).backward()
            scaler.step(inner)
            scaler.update()
            check_zero(model, mask, inner)
    made = {int(inner.state[p]["step"]) for p in model.parameters()}
    assert made == {attached.num_steps} == {6}
    assert {int(s["step"]) for s in attached.rewind_point.optimizer_state.values()} == {4}


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_closure_called_many_times_is_one_step(wrap):
    """LBFGS, whose directions are sums of masked gradients."""
    model = net()
    mask = half_of(model)
    inner = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)
    x, y = torch.randn(16, 8), torch.randint(3, (16,))
    calls = []

    def closure():
        calls.append(None)
        inner.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    with mask.attach(model, wrap(inner)) as attached:
        for _ in range(3):
            wrap(inner).step(closure)
            for name, kept in mask.items():
                assert not model.get_parameter(name)[~kept].any()
    assert attached.num_steps == 3
    assert len(calls) > 6


def test_the_wrappers_of_these_tests_have_no_hooks_of_their_own():
    """Else they would test nothing: the mutant is to take what is passed."""
    optimizer = sgd(net())
    with pytest.raises(AttributeError):
        Accelerated(optimizer).register_step_post_hook(print)
    assert isinstance(Imitating(optimizer), torch.optim.SGD)
    assert Imitating(optimizer) is not optimizer
