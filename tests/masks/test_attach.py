"""Law 3 in anyone's loop: `mask.attach(model, optimizer)`."""

import contextlib
import copy
import pickle
import weakref

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lottery_ticket import UsageError
from lottery_ticket.masks import Budget, MaskedParameters, PruningMask, select

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "fused Adam": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9),
}


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))


def random_mask(model, num_kept=400):
    stream = torch.Generator().manual_seed(1)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return select(scores, ones, Budget(num_kept))


@pytest.fixture(scope="module")
def batches():
    digits = load_digits()
    x = torch.from_numpy(digits.data).float()[:480] / 16 - 0.3
    return list(zip(x.split(32), torch.from_numpy(digits.target)[:480].split(32), strict=True))


def check_zero(model, mask, optimizer=None):
    parameters = {n.replace("_orig_mod.", ""): p for n, p in model.named_parameters()}
    parameters = {n.removeprefix("module."): p for n, p in parameters.items()}
    for name, kept in mask.items():
        parameter = parameters[name]
        assert not parameter[~kept].any(), f"{name} came back"
        if parameter.grad is not None:
            assert not parameter.grad[~kept].any(), f"the gradient of {name}"
        for key, value in optimizer.state[parameter].items() if optimizer else ():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                assert not value[~kept].any(), f"{key} of {name}"


def check_stays_zero(attach, make_optimizer, batches):
    model = net()
    mask = random_mask(model)
    optimizer = make_optimizer(model.parameters())
    attach(mask, model, optimizer)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        check_zero(model, mask, optimizer)
        optimizer.step()
        check_zero(model, mask, optimizer)
    for name, value in model.named_parameters():
        assert not torch.equal(value, before[name]), "nothing was learnt"
    negative = before["0.weight"] < 0
    moved = (model[0].weight != before["0.weight"])[negative & mask["0.weight"]]
    assert moved.float().mean() > 0.5, "negative weights do not learn"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stays_zero(optimizer, batches):
    check_stays_zero(PruningMask.attach, OPTIMIZERS[optimizer], batches)


def only_at_first(mask, model, optimizer):
    mask.apply(model)


def weights_after_each_step(mask, model, optimizer):
    mask.apply(model)
    optimizer.register_step_post_hook(lambda *_: mask.apply(model))


def first_layer_alone(mask, model, optimizer):
    mask.apply(model)
    PruningMask.from_tensors({"0.weight": mask["0.weight"]}).attach(model, optimizer)


def only_positive_weights(mask, model, optimizer):
    mask.attach(model, optimizer)
    for parameter in model.parameters():
        parameter.register_hook(lambda grad, p=parameter: torch.where(p <= 0, 0.0, grad))


@pytest.mark.parametrize(
    "mutant", [only_at_first, weights_after_each_step, first_layer_alone, only_positive_weights]
)
def test_other_ways_to_mask_are_caught(mutant, batches):
    with pytest.raises(AssertionError):
        check_stays_zero(mutant, OPTIMIZERS["momentum"], batches)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gives_the_bytes_of_our_own_loop(optimizer, batches):
    trained = []
    for is_attached in (True, False):
        model = net()
        mask = random_mask(model)
        mask.apply(model)
        made = OPTIMIZERS[optimizer](model.parameters())
        masked = MaskedParameters(model, mask)
        with mask.attach(model, made) if is_attached else contextlib.nullcontext():
            for x, y in batches:
                made.zero_grad()
                F.cross_entropy(model(x), y).backward()
                if not is_attached:
                    masked.mask_gradients_()
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                made.step()
        trained.append(model.state_dict())
    for name, value in trained[0].items():
        assert torch.equal(value, trained[1][name])


def test_clipping_and_logging_see_masked_gradients(batches):
    model = net()
    mask = random_mask(model, num_kept=40)
    x, y = batches[0]
    with mask.attach(model):
        F.cross_entropy(model(x), y).backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    kept = [g[mask[n]] if n in mask else g for n, g in grads.items()]
    expected = torch.cat([g.flatten() for g in kept]).norm()
    assert nn.utils.clip_grad_norm_(model.parameters(), 1e9) == pytest.approx(float(expected))


def test_an_infinite_gradient_of_a_pruned_weight_is_zero():
    model = nn.Linear(2, 1, bias=False)
    mask = PruningMask.from_tensors({"weight": torch.tensor([[True, False]])})
    with mask.attach(model):
        model(torch.tensor([[1.0, float("inf")]])).nan_to_num().sum().backward()
        assert model.weight.grad.tolist() == [[0.0, 0.0]] or model.weight.grad[0, 1] == 0
        model.weight.grad = None
        (model.weight * torch.tensor([[1.0, float("nan")]])).sum().backward()
        assert model.weight.grad.tolist() == [[1.0, 0.0]]


def test_with_accumulation_scheduler_and_ema(batches):
    model = net()
    mask = random_mask(model)
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    with mask.attach(model, optimizer) as attached:
        ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        for number, (x, y) in enumerate(batches, 1):
            (F.cross_entropy(model(x), y) / 3).backward()
            if number % 3 == 0:
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                ema.update_parameters(model)
                check_zero(ema.module, mask)
        dense = AveragedModel(net())
        mask.apply(dense)
        check_zero(dense.module, mask)
        assert attached.num_steps == len(batches) // 3
    check_zero(model, mask, optimizer)


def test_under_grad_scaler(batches):
    model = net()
    mask = random_mask(model)
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with mask.attach(model, optimizer) as attached:
        for number, (x, y) in enumerate(batches):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                value = F.cross_entropy(model(x), y) * (float("inf") if number == 3 else 1)
            scaler.scale(value).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    check_zero(model, mask, optimizer)
    assert attached.num_steps == len(batches) - 1, "a step that GradScaler skips is none"


def test_steps_that_a_fused_optimiser_skips_are_not_counted(batches):
    model = net()
    optimizer = OPTIMIZERS["fused Adam"](model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with random_mask(model).attach(model, optimizer) as attached:
        for number, (x, y) in enumerate(batches):
            optimizer.zero_grad()
            value = F.cross_entropy(model(x), y) * (float("inf") if number == 3 else 1)
            scaler.scale(value).backward()
            scaler.step(optimizer)
            scaler.update()
    made = {int(optimizer.state[p]["step"]) for p in model.parameters()}
    assert made == {attached.num_steps} == {len(batches) - 1}


def test_through_compile(batches):
    model = net()
    mask = random_mask(model)
    compiled = torch.compile(model, backend="aot_eager")
    optimizer = OPTIMIZERS["momentum"](compiled.parameters())
    with mask.attach(compiled, optimizer):
        for x, y in batches[:5]:
            optimizer.zero_grad()
            F.cross_entropy(compiled(x), y).backward()
            optimizer.step()
            check_zero(compiled, mask, optimizer)


def test_memory_that_an_optimiser_brings_is_zeroed(batches):
    model = net()
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    for x, y in batches[:3]:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    remembered = copy.deepcopy(optimizer.state_dict())
    mask = random_mask(model)
    with mask.attach(model, optimizer):
        check_zero(model, mask, optimizer)
        optimizer.load_state_dict(remembered)
        check_zero(model, mask, optimizer)
        for x, y in batches[3:6]:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            check_zero(model, mask, optimizer)


def test_rewind_point_is_the_state_at_its_step(batches):
    model = net()
    mask = random_mask(model)
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    attached = mask.attach(model, optimizer, rewind_step=3)
    expected = None
    for number, (x, y) in enumerate(batches, 1):
        assert (attached.rewind_point is None) == (number <= 3)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if number == 3:
            expected = copy.deepcopy((model.state_dict(), optimizer.state_dict()["state"]))
    point = attached.rewind_point
    assert point.step == 3
    assert attached.num_steps == len(batches)
    assert list(point.weights) == list(expected[0])
    for name, value in expected[0].items():
        assert torch.equal(point.weights[name], value), name
    for index, state in expected[1].items():
        for key, value in state.items():
            assert torch.equal(point.optimizer_state[index][key], value)


def test_rewind_point_zero_is_before_anything_is_pruned():
    model = net()
    before = copy.deepcopy(model.state_dict())
    attached = random_mask(model).attach(model, rewind_step=0)
    assert all(torch.equal(attached.rewind_point.weights[n], v) for n, v in before.items())


def test_continuing_counts_on(batches):
    model = net()
    optimizer = OPTIMIZERS["SGD"](model.parameters())
    with random_mask(model).attach(model, optimizer, start_step=40) as attached:
        F.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
        optimizer.step()
    assert attached.num_steps == 41


def test_leaves_nothing_behind(batches):
    model = net()
    keys = list(model.state_dict())
    mask = random_mask(model)
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    mask.attach(model, optimizer)
    assert list(model.state_dict()) == keys
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        F.cross_entropy(twin(batches[0][0]), batches[0][1]).backward()
        assert twin[0].weight.grad[~mask["0.weight"]].any(), "a copy of the model is free"
    assert pickle.loads(pickle.dumps(mask)) == copy.deepcopy(mask) == mask
    copy.deepcopy(optimizer).step()
    mask.detach()
    F.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
    assert model[0].weight.grad[~mask["0.weight"]].any()
    assert not optimizer._optimizer_step_post_hooks
    optimizer.step()
    gone = weakref.ref(model)
    del model, optimizer, twin
    import gc

    gc.collect()
    assert gone() is None, "a detached mask keeps the model alive"


def test_a_frozen_layer_is_masked_when_it_thaws(batches):
    model = net()
    mask = random_mask(model)
    model[0].weight.requires_grad_(False)
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    with mask.attach(model, optimizer):
        assert not model[0].weight.requires_grad
        model[0].weight.requires_grad_(True)
        for x, y in batches[:3]:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    check_zero(model, mask, optimizer)


def test_gradients_there_already_are_masked(batches):
    model = net()
    mask = random_mask(model)
    F.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
    with mask.attach(model):
        check_zero(model, mask)


def test_channels_last_and_other_precisions():
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        model = nn.Conv2d(4, 6, 3).to(dtype=dtype, memory_format=torch.channels_last)
        mask = random_mask(model, num_kept=50)
        with mask.attach(model):
            x = torch.ones(2, 4, 5, 5, dtype=dtype).to(memory_format=torch.channels_last)
            model(x).square().sum().backward()
        check_zero(model, mask)
        assert model.weight.grad[mask["weight"]].any()


class Jittering(torch.optim.SGD):
    """Moves weights that have no gradient."""

    def step(self, closure=None):
        super().step()
        with torch.no_grad():
            for parameter in self.param_groups[0]["params"]:
                parameter.add_(0.01)


class Wrapped(torch.optim.SGD):
    """Calls the step of its parent, which torch gives hooks of its own."""

    def step(self, closure=None):
        return super().step(closure)


def test_a_step_within_a_step_counts_once(batches):
    model = net()
    optimizer = Wrapped(model.parameters(), lr=0.1)
    with random_mask(model).attach(model, optimizer) as attached:
        for x, y in batches[:4]:
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert attached.num_steps == 4


class Failing(Wrapped):
    """Raises within a step of a step, once."""

    fails = True

    def step(self, closure=None):
        def closed():
            if self.fails:
                self.fails = False
                raise RuntimeError("no step")
            return closure()

        return super().step(closed)


@pytest.mark.parametrize("kind", [Failing, type("Plain", (torch.optim.SGD,), {})])
def test_a_step_that_raised_does_not_hide_those_after_it(batches, kind):
    model = net()
    mask = random_mask(model)
    optimizer = kind(model.parameters(), lr=0.1)
    failing = iter([True, False, False, False])

    def closure():
        if kind is not Failing and next(failing):
            raise RuntimeError("no step")
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batches[0][0]), batches[0][1])
        loss.backward()
        return loss

    with mask.attach(model, optimizer, rewind_step=2) as attached:
        with pytest.raises(RuntimeError, match="no step"):
            optimizer.step(closure)
        assert attached.num_steps == 0
        for _ in range(3):
            optimizer.step(closure)
        assert attached.num_steps == 3
        assert attached.rewind_point.step == 2


def test_an_optimiser_that_revives_weights_is_refused_at_its_first_step(batches):
    model = net()
    mask = random_mask(model)
    optimizer = Jittering(model.parameters(), lr=0.1)
    with mask.attach(model, optimizer):
        F.cross_entropy(model(batches[0][0]), batches[0][1]).backward()
        with pytest.raises(UsageError, match=r"Jittering moved pruned weights of '0.weight'"):
            optimizer.step()


def test_what_does_not_belong_together_is_refused():
    model = net()
    mask = random_mask(model)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UsageError, match="SGD trains none of the 2 masked parameters"):
        mask.attach(model, OPTIMIZERS["SGD"](net().parameters()))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model(torch.rand(8, 64)).sum().backward()
    assert model[0].weight.grad[~mask["0.weight"]].any(), "a refused mask left its hooks"
    with pytest.raises(UsageError, match=r"the model has no parameter '0.weight'"):
        mask.attach(nn.Linear(3, 2))
    other = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.ReLU(), nn.Linear(32, 10))
    with pytest.raises(UsageError, match=r"'0.weight' has shape \(32, 64\), the model has \(2, 3"):
        mask.attach(other)
    with pytest.raises(UsageError, match="got a str, wanted a torch optimizer"):
        mask.attach(model, "adam")
    with pytest.raises(UsageError, match="rewind_step counts the steps of an optimizer"):
        mask.attach(model, rewind_step=5)
    with pytest.raises(UsageError, match=r"got a dict, wanted a torch.nn.Module"):
        mask.attach({})
    for steps in (-1, "5", 2.0, True):
        with pytest.raises(UsageError, match="start_step: got"):
            mask.attach(model, start_step=steps)
        with pytest.raises(UsageError, match="rewind_step: got"):
            mask.attach(model, OPTIMIZERS["SGD"](model.parameters()), rewind_step=steps)
    with pytest.raises(UsageError, match="rewind_step 5 lies before start_step 10"):
        mask.attach(model, OPTIMIZERS["SGD"](model.parameters()), rewind_step=5, start_step=10)


def test_sparse_gradients_are_refused_by_name():
    model = nn.Embedding(4, 2, sparse=True)
    mask = PruningMask.from_tensors({"weight": torch.tensor([[True, False]] * 4)})
    with mask.attach(model):
        value = model(torch.tensor([1])).sum()
        with pytest.raises(UsageError, match=r"'weight' has a torch.sparse_coo gradient"):
            value.backward()
