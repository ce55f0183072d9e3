"""Law 3 where parameters are replaced under an attached mask: it is of names."""

import copy
import functools
import gc
import pickle
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune
from torch.optim import optimizer as torch_optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from lottery_ticket import UsageError
from lottery_ticket.masks import Budget, PruningMask, find_parameters, select
from lottery_ticket.pruning import GradualPruner, polynomial, prune

OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3, bias=False))


def half_of(model):
    stream = torch.Generator().manual_seed(1)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return select(scores, ones, Budget(ones.num_prunable // 2))


def loss_of(model):
    x = torch.randn(16, 8, dtype=next(model.parameters()).dtype)
    return F.cross_entropy(model(x), torch.randint(3, (16,)))


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


def dense_state(model):
    return {name: torch.randn_like(value) for name, value in model.state_dict().items()}


def assigns(model):
    model.load_state_dict(dense_state(model), assign=True)


def has_new_layers(model):
    model[0], model[2] = nn.Linear(8, 12), nn.Linear(12, 3, bias=False)


def has_a_new_head(model):
    model[2] = nn.Linear(12, 3, bias=False)


def sets_attributes(model):
    for layer in (model[0], model[2]):
        layer.weight = nn.Parameter(torch.randn_like(layer.weight))


def is_empty_for_a_while(model):
    """The new parameter may lie where the old one lay."""
    for layer in (model[0], model[2]):
        shape = layer.weight.shape
        layer.weight = None
        layer.weight = nn.Parameter(torch.randn(shape))


def overwrites_when_converted(model):
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        model.double().float()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()


def swaps_when_converted(model):
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        model.double().float()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


def swaps_when_loading(model):
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        model.load_state_dict(dense_state(model))
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


def wraps_new_layers(model):
    has_new_layers(model)
    model[0] = nn.DataParallel(model[0])


def comes_and_goes(model):
    """Through the form of torch.nn.utils.prune and out of it."""
    torch_prune.identity(model[0], "weight")
    torch_prune.remove(model[0], "weight")


def is_frozen_at_first(model):
    has_new_layers(model)
    model[0].weight.requires_grad_(False)


def is_set_from_a_vector(model):
    """As evolution strategies and hypernetworks do: other values in the same parameters."""
    vector = torch.randn(sum(p.numel() for p in model.parameters()))
    nn.utils.vector_to_parameters(vector, model.parameters())


def is_written_into(model):
    for parameter in model.parameters():
        nn.init.normal_(parameter)


REPLACEMENTS = [
    assigns,
    has_new_layers,
    has_a_new_head,
    sets_attributes,
    is_empty_for_a_while,
    overwrites_when_converted,
    swaps_when_converted,
    swaps_when_loading,
    wraps_new_layers,
    comes_and_goes,
    is_frozen_at_first,
    is_set_from_a_vector,
    is_written_into,
]


def check_stays_zero_when_replaced(attach, replace, make_optimizer, *, is_given=True):
    model = net()
    mask = half_of(model)
    optimizer = make_optimizer(model.parameters())
    attach(mask, model, optimizer if is_given else None)
    for _ in range(2):
        step(model, optimizer)
    replace(model)
    optimizer = make_optimizer(model.parameters())
    for number in range(6):
        if number == 2:
            for parameter in model.parameters():
                parameter.requires_grad_(True)
        step(model, optimizer)
        check_zero(model, mask, optimizer)


@pytest.mark.parametrize("is_given", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_stays_zero_when_replaced(replace, optimizer, is_given):
    check_stays_zero_when_replaced(
        PruningMask.attach, replace, OPTIMIZERS[optimizer], is_given=is_given
    )


def holds_by_identity(mask, model, optimizer):
    """As it was: hooks on the parameters that were there."""

    def mask_gradient(kept, parameter):
        parameter.grad.mul_(kept)

    mask.apply(model)
    for name, kept in mask.items():
        hook = functools.partial(mask_gradient, kept)
        model.get_parameter(name).register_post_accumulate_grad_hook(hook)


def zeroes_weights_alone(mask, model, optimizer):
    """Finds the new ones before each step, and forgets their gradients."""

    def apply(*arguments):
        mask.apply(model)

    torch_optimizer.register_optimizer_step_pre_hook(apply)


@pytest.fixture
def no_hooks_left():
    before = dict(torch_optimizer._global_optimizer_pre_hooks)
    yield
    torch_optimizer._global_optimizer_pre_hooks.clear()
    torch_optimizer._global_optimizer_pre_hooks.update(before)


KEPT = (comes_and_goes, is_set_from_a_vector, is_written_into)


@pytest.mark.parametrize("replace", [r for r in REPLACEMENTS if r not in KEPT])
@pytest.mark.parametrize("mutant", [holds_by_identity, zeroes_weights_alone])
def test_other_ways_to_hold_are_caught(mutant, replace, no_hooks_left):
    with pytest.raises(AssertionError, match="came back"):
        check_stays_zero_when_replaced(mutant, replace, OPTIMIZERS["momentum"])


@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_is_asked_about_the_model_as_it_is(replace):
    """Without any step: `revived` sees the new parameters, `zero_` holds them."""
    model = net()
    mask = half_of(model)
    attached = mask.attach(model)
    replace(model)
    found = find_parameters(model, mask)
    assert attached.revived() == [n for n, p in found.items() if p[~mask[n]].any()]
    attached.zero_()
    assert attached.revived() == []
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    loss_of(model).backward()
    for name, parameter in found.items():
        assert not parameter[~mask[name]].any()
        assert not parameter.grad[~mask[name]].any()


def test_an_optimizer_with_the_old_parameters_is_refused():
    for replace in (assigns, has_a_new_head):
        model = net()
        optimizer = OPTIMIZERS["AdamW"](model.parameters())
        attached = half_of(model).attach(model, optimizer)
        step(model, optimizer)
        replace(model)
        for _ in range(2):
            with pytest.raises(UsageError, match=r"AdamW still trains '[02].weight' as it was bef"):
                step(model, optimizer)
        optimizer = OPTIMIZERS["momentum"](model.parameters())
        step(model, optimizer)
        assert attached.num_steps == 2
        assert repr(attached).endswith("2 steps of SGD)")


def test_zero_is_no_way_around_that():
    model = net()
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    attached = half_of(model).attach(model, optimizer)
    assigns(model)
    attached.zero_()
    with pytest.raises(UsageError, match="AdamW still trains"):
        step(model, optimizer)


@pytest.mark.parametrize("is_zeroed", [True, False])
def test_an_optimizer_made_anew_is_counted_and_its_memory_zeroed(is_zeroed):
    model = net()
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    step(model, optimizer)
    dense_memory = copy.deepcopy(optimizer.state_dict())
    mask = half_of(model)
    attached = mask.attach(model, optimizer, rewind_step=3)
    step(model, optimizer)
    assigns(model)
    if is_zeroed:
        attached.zero_()
    other = OPTIMIZERS["momentum"](net().parameters())
    step(net(), other)  # of another model: no affair of ours
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    optimizer.load_state_dict(dense_memory)
    for _ in range(3):
        step(model, optimizer)
        check_zero(model, mask, optimizer)
    assert attached.num_steps == 4
    assert attached.rewind_point is not None
    assert len(attached.rewind_point.optimizer_state) == 3
    assert attached.optimizers == [optimizer]


@pytest.mark.parametrize("is_in_place", [True, False])
def test_values_set_under_an_optimizer_that_goes_on(is_in_place):
    model = net()
    mask = half_of(model)
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    if not is_in_place:  # one in place after the first step is for zero_()
        mask.attach(model, optimizer)
        step(model, optimizer)
        is_set_from_a_vector(model)
    else:
        attached = mask.attach(model, optimizer)
        is_written_into(model)
    step(model, optimizer)
    step(model, optimizer)
    check_zero(model, mask, optimizer)
    if is_in_place:
        assert attached.written == list(mask)
        assert attached.overwritten == []


def test_a_model_alone_has_its_optimizers_memory_masked():
    model = net()
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    step(model, optimizer)
    mask = half_of(model)
    mask.attach(model)
    step(model, optimizer)
    check_zero(model, mask, optimizer)


@pytest.mark.parametrize("is_given", [True, False])
def test_any_optimizer_that_revives_weights_is_refused_at_its_first_step(is_given):
    """Not the one that is counted alone: Muon beside AdamW is how it is used."""
    model = net()
    mask = half_of(model)
    first = torch.optim.AdamW([model[2].weight, model[0].bias])
    second = torch.optim.Muon([model[0].weight])
    attached = mask.attach(model, first if is_given else None)
    step(model, first)
    with pytest.raises(UsageError, match=r"Muon moved pruned weights of '0.weight'"):
        step(model, second)
    assert attached.revived() == []


@pytest.mark.parametrize("is_given", [True, False])
@pytest.mark.parametrize("num_idle", [1, 5])
def test_an_optimizer_that_revives_weights_is_refused_after_a_warm_up_from_nothing(
    num_idle, is_given
):
    """Its first steps move nothing, and show nothing."""
    model = net()
    mask = half_of(model)
    optimizer = torch.optim.Muon([model[0].weight, model[2].weight], lr=0.1)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: max(0, t + 1 - num_idle) / 9)
    attached = mask.attach(model, optimizer if is_given else None)
    for _ in range(num_idle):
        step(model, optimizer)
        warm_up.step()
    with pytest.raises(UsageError, match=r"Muon moved pruned weights of '0.weight'"):
        step(model, optimizer)
    assert attached.revived() == []


class Averaging(torch.optim.SGD):
    """Back to the mean with what was before, every so often: what was is not in its state."""

    def __init__(self, parameters, every):
        super().__init__(parameters, lr=0.1)
        self.trained = self.param_groups[0]["params"]
        self.slow = [parameter.detach().clone() for parameter in self.trained]
        self.num_steps, self.every = 0, every

    def step(self, closure=None):
        super().step(closure)
        self.num_steps += 1
        if self.num_steps % self.every == 0:
            with torch.no_grad():
                for slow, parameter in zip(self.slow, self.trained, strict=True):
                    parameter.copy_(slow.lerp_(parameter, 0.5))


@pytest.mark.parametrize("is_given", [True, False])
@pytest.mark.parametrize("every", [1, 2, 3, 5, 6, 9])
def test_an_optimizer_that_revives_weights_now_and_then_is_refused(every, is_given):
    """By twice the steps at the latest; and at the end."""
    model = net()
    mask = half_of(model)
    optimizer = Averaging(model.parameters(), every)
    attached = mask.attach(model, optimizer if is_given else None)

    def train():
        for _ in range(2 * every):
            step(model, optimizer)

    with pytest.raises(UsageError, match=r"pruned weights of '0.weight'"):
        train()
    assert attached.revived() == []
    model = net()
    optimizer = Averaging(model.parameters(), 3)
    attached = mask.attach(model, optimizer if is_given else None)
    for _ in range(3):
        step(model, optimizer)
    with pytest.raises(UsageError, match=r"of '0.weight' came back before the mask was detached"):
        attached.detach()


@pytest.mark.parametrize("is_given", [True, False])
def test_looks_cost_nothing_in_the_long_run(is_given):
    """Two for each time that the steps have doubled, once something has moved."""
    model = net()
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    with half_of(model).attach(model, optimizer if is_given else None):
        looked = 0
        for _ in range(64):
            optimizer.zero_grad()
            loss_of(model).backward()
            with LooksAtWeights() as looks:
                optimizer.step()
            looked += looks.num > 0
    assert looked == 7  # at 1, 2, 4, 8, 16, 32, 64


class LooksAtWeights(TorchDispatchMode):
    """Counts what waits for the device to see a truth value."""

    num = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.num += func is torch.ops.aten.any.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("is_given", [True, False])
def test_gradients_that_are_assigned_are_said(is_given):
    """As torch.func.grad and torch.autograd.grad give them: no hook sees them."""
    model = net()
    mask = half_of(model)
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    attached = mask.attach(model, optimizer if is_given else None)
    gradients = torch.autograd.grad(loss_of(model), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    with pytest.raises(UsageError, match=r"the gradient of '0.weight' is not zero .* assigned"):
        optimizer.step()
    assert attached.revived() == []


def test_one_more_optimizer_is_not_counted():
    model = net()
    optimizer = OPTIMIZERS["momentum"](model[0].parameters())
    attached = half_of(model).attach(model, optimizer)
    for _ in range(2):
        step(model, optimizer)
        step(model, OPTIMIZERS["AdamW"](model[2].parameters()))
    assert attached.num_steps == 2


def is_parametrized(model):
    parametrizations.weight_norm(model[0])


def is_weight_normed(model):
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(model[0])


def is_pruned_by_torch(model):
    torch_prune.random_unstructured(model[0], "weight", amount=0.5)


def lacks_a_layer(model):
    model[0] = nn.Identity()


def is_reshaped(model):
    model[0] = nn.Linear(8, 5)
    model[2] = nn.Linear(5, 3, bias=False)


def is_renamed(model):
    model.add_module("3", model[2])
    model[2] = nn.Identity()


def is_tied(model):
    model[0] = nn.Linear(8, 12)
    model[2] = nn.Linear(8, 12)
    model[2].weight = model[0].weight


IMPOSSIBLE = [
    (is_parametrized, "no parameter '0.weight'.*; a parametrization makes '0.weight' from other"),
    (is_weight_normed, "torch.nn.utils.weight_norm keeps it as '0.weight_v' now"),
    (is_pruned_by_torch, "torch.nn.utils.prune keeps it as '0.weight_orig' now: .*prune.remove"),
    (lacks_a_layer, "the model has no parameter '0.weight', which the mask names"),
    (is_reshaped, r"the mask of '0.weight' has shape \(12, 8\), the model has \(5, 8\)"),
    (is_renamed, "the model has no parameter '2.weight'"),
    (is_tied, r"has shape \(3, 12\), the model has \(12, 8\)|are one tied parameter"),
]


@pytest.mark.parametrize(("change", "message"), IMPOSSIBLE)
@pytest.mark.parametrize("is_given", [True, False])
def test_what_cannot_be_followed_is_said(change, message, is_given):
    model = net()
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    attached = half_of(model).attach(model, optimizer if is_given else None)
    change(model)
    made = OPTIMIZERS["momentum"](model.parameters())
    for ask in (attached.revived, attached.zero_, made.step):
        with pytest.raises(UsageError, match=message):
            ask()
    if is_given:
        with pytest.raises(UsageError, match=message):
            optimizer.step()
    other = OPTIMIZERS["AdamW"](net().parameters())
    other.step()  # of another model
    attached.detach()
    made.step()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(self.one(x))


def test_a_tie_that_is_gone_is_said():
    model = Tied()
    mask = half_of(model)
    assert list(mask) == ["one.weight"]
    attached = mask.attach(model)
    step_ = OPTIMIZERS["AdamW"](model.parameters()).step
    step_()
    assigns(model)  # which unties
    for ask in (attached.revived, attached.zero_, OPTIMIZERS["AdamW"](model.parameters()).step):
        with pytest.raises(UsageError, match=r"'one.weight' and 'two.weight' were one tied param"):
            ask()
    model.two.weight = model.one.weight
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.randn(4, 6)).square().sum().backward()
        optimizer.step()
        check_zero(model, mask, optimizer)
    model.two.weight = nn.Parameter(torch.randn(6, 6))
    with pytest.raises(UsageError, match="were one tied parameter"):
        attached.revived()


def test_a_loop_that_cannot_be_seen_is_told_at_the_end():
    def by_hand(model):
        model.zero_grad()
        loss_of(model).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad

    model = net()
    mask = half_of(model)
    attached = mask.attach(model)
    sets_attributes(model)
    by_hand(model)
    with pytest.raises(UsageError, match=r"'0.weight' was replaced while .* call zero_"):
        mask.detach()
    assert repr(attached).endswith("detached after 0 steps)")
    attached.detach()  # is over
    with mask.attach(model) as attached:
        sets_attributes(model)
        attached.zero_()
        by_hand(model)
    check_zero(model, mask)
    attached = mask.attach(model)
    sets_attributes(model)
    attached.__exit__(KeyError, KeyError(), None)  # an error says it all
    assert model[0].weight.register_post_accumulate_grad_hook(print)
    assert len(model[0].weight._post_accumulate_grad_hooks) == 1


def test_precision_changes_are_followed():
    model = net()
    mask = half_of(model)
    mask.attach(model)
    for dtype in (torch.float64, torch.bfloat16, torch.float16, torch.float32):
        model.to(dtype)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            step(model, optimizer)
            check_zero(model, mask, optimizer)


def test_another_shape_in_place_is_refused_at_backward():
    model = nn.Linear(4, 1, bias=False)
    PruningMask.from_tensors({"weight": torch.tensor([[True, False, True, False]])}).attach(model)
    model.weight.data = torch.randn(3, 4)
    with pytest.raises(UsageError, match=r"'weight' has shape \(1, 4\), the model has \(3, 4\)"):
        model(torch.randn(2, 4)).sum().backward()


def test_nothing_old_is_kept_and_nothing_new_is_added():
    model = net()
    mask = half_of(model)
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    mask.attach(model, optimizer)
    step(model, optimizer)
    old = weakref.ref(model[0].weight)
    assigns(model)
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    step(model, optimizer)
    gc.collect()
    assert old() is None, "the old parameters are held"
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        loss_of(twin).backward()
        assert twin[0].weight.grad[~mask["0.weight"]].any(), "a copy of the model is free"
    mask.detach()
    loss_of(model).backward()
    assert model[0].weight.grad[~mask["0.weight"]].any()
    assert not optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize("is_given", [True, False])
def test_a_mask_that_was_never_detached_keeps_nothing_alive(is_given):
    hooks = len(torch_optimizer._global_optimizer_pre_hooks)
    model = net()
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    mask = PruningMask.from_tensors({**half_of(model), "0.bias": torch.ones(12, dtype=torch.bool)})
    mask.attach(model, optimizer if is_given else None)
    step(model, optimizer)
    del mask
    step(model, optimizer)
    check_zero(model, half_of(model))
    gone = weakref.ref(model), weakref.ref(optimizer)
    del model, optimizer
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
    model = net()
    with half_of(model).attach(model):
        assert len(torch_optimizer._global_optimizer_pre_hooks) == hooks + 1
    assert len(torch_optimizer._global_optimizer_pre_hooks) == hooks


def test_an_attachment_that_nobody_keeps_still_follows():
    model = net()
    mask = half_of(model)
    PruningMask.from_tensors(mask).attach(model)
    gc.collect()
    assigns(model)
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    step(model, optimizer)
    check_zero(model, mask, optimizer)


def test_a_detached_mask_is_over():
    model = net()
    mask = half_of(model)
    attached = mask.attach(model)
    attached.detach()
    for call in (
        lambda: attached.follow(OPTIMIZERS["AdamW"](model.parameters())),
        lambda: attached.replace_mask(mask),
    ):
        with pytest.raises(UsageError, match="the mask was detached; attach it"):
            call()
    has_new_layers(model)
    assert attached.revived() == ["0.weight", "2.weight"]
    attached.zero_()
    assert attached.revived() == []


def test_a_readable_name():
    model = net()
    mask = half_of(model)
    kept = "66 of 132 weights kept, density 0.5, 2 layers"
    attached = mask.attach(model)
    assert repr(attached) == f"Attachment({kept}; steps are not counted)"
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    attached.follow(optimizer)
    step(model, optimizer)
    assert repr(attached) == f"Attachment({kept}; 1 steps of AdamW)"
    attached.detach()
    assert repr(attached) == f"Attachment({kept}; detached after 1 steps)"
    empty = PruningMask.from_tensors({}).attach(model)
    assert (
        repr(empty) == "Attachment(0 of 0 weights kept, density 1, 0 layers; steps are not counted)"
    )


def test_gradual_pruning_goes_on_with_the_new_optimizer():
    model = net()
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    schedule = polynomial(0.75, end_step=8, every_steps=2)
    with GradualPruner(model, optimizer, schedule) as pruner:
        for number in range(8):
            if number == 3:
                assigns(model)
                optimizer = OPTIMIZERS["momentum"](model.parameters())
            step(model, optimizer)
            check_zero(model, pruner.mask, optimizer)
    assert pruner.num_steps == 8
    assert pruner.mask.num_kept == 33


def test_a_dense_model_is_held_too():
    """Nothing is pruned yet; its steps count, and θ_k is its own."""
    model = net()
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    attached = PruningMask(model).attach(model, optimizer, rewind_step=4)
    for number in range(4):
        if number == 2:
            assigns(model)
            with pytest.raises(UsageError, match=r"SGD still trains '0.weight'"):
                step(model, optimizer)
            optimizer = OPTIMIZERS["momentum"](model.parameters())
        step(model, optimizer)
    assert attached.num_steps == 4
    for name, value in model.state_dict().items():
        assert torch.equal(attached.rewind_point.weights[name], value)


def test_masks_of_two_models_in_one_process():
    models = [net(), net()]
    masks = [
        prune(model, sparsity=sparsity) for model, sparsity in zip(models, (0.3, 0.6), strict=True)
    ]
    optimizers = [OPTIMIZERS["AdamW"](model.parameters()) for model in models]
    attached = [m.attach(*pair) for m, *pair in zip(masks, models, optimizers, strict=True)]
    is_reshaped(models[0])
    step(models[1], optimizers[1])  # the other one is none of its business
    assert [one.num_steps for one in attached] == [0, 1]
