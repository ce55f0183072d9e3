"""`attach(freeze_to=…)`: pruned weights stay at a reference, bit for bit, in anyone's loop."""

import copy
import functools
import io

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lottery_ticket import UsageError
from lottery_ticket.masks import Budget, PruningMask, find_parameters, select
from lottery_ticket.pruning import polynomial
from lottery_ticket.pruning._gradual import Gradual

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "decoupled Adam": lambda p: torch.optim.NAdam(
        p, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True
    ),
    "fused AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, fused=True),
    "fused Adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, fused=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, weight_decay=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, weight_decay=0.1),
}


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))


def random_mask(model, num_kept=400, seed=1):
    stream = torch.Generator().manual_seed(seed)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return select(scores, ones, Budget(num_kept))


@pytest.fixture(scope="module")
def batches():
    digits = load_digits()
    x = torch.from_numpy(digits.data).float()[:480] / 16 - 0.3
    return list(zip(x.split(32), torch.from_numpy(digits.target)[:480].split(32), strict=True))


def copied(model):
    return copy.deepcopy(model.state_dict())


def bits(value):
    return value.detach().contiguous().view(torch.uint8)


def check_frozen(model, mask, reference, optimizer=None):
    for name, parameter in find_parameters(model, mask).items():
        pruned = ~mask[name]
        now, wanted = parameter[pruned], reference[name].to(parameter)[pruned]
        assert torch.equal(bits(now), bits(wanted)), f"{name} has left its reference"
        if parameter.grad is not None:
            assert not parameter.grad[pruned].any(), f"the gradient of {name}"
        for key, value in optimizer.state[parameter].items() if optimizer else ():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                assert not value[pruned].any(), f"{key} of {name}"


def attached_to_reference(mask, model, optimizer, reference):
    mask.attach(model, optimizer, freeze_to=reference)


def check_stays(attach, make_optimizer, batches):
    model = net()
    mask = random_mask(model)
    reference = copied(net(7))
    optimizer = make_optimizer(model.parameters())
    attach(mask, model, optimizer, reference)
    check_frozen(model, mask, reference)
    before = copied(model)
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        check_frozen(model, mask, reference, optimizer)
        optimizer.step()
        check_frozen(model, mask, reference, optimizer)
    for name, value in model.named_parameters():
        kept = mask.get(name, torch.ones_like(value, dtype=torch.bool))
        assert (value != before[name])[kept].float().mean() > 0.8, f"{name} has learnt nothing"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stays_at_the_reference(optimizer, batches):
    check_stays(attached_to_reference, OPTIMIZERS[optimizer], batches)


def gradients_alone(mask, model, optimizer, reference):
    """Mutant: decay moves what has no gradient."""
    put_(mask, model, reference)
    for name, parameter in find_parameters(model, mask).items():
        parameter.register_hook(lambda grad, kept=mask[name]: grad * kept)


def weights_alone(mask, model, optimizer, reference):
    """Mutant: put back after each step, and remembered."""
    gradients_alone(mask, model, optimizer, reference)
    optimizer.register_step_post_hook(lambda *_: put_(mask, model, reference))


def at_zero(mask, model, optimizer, reference):
    """Mutant: another thing altogether."""
    mask.attach(model, optimizer)


@torch.no_grad()
def put_(mask, model, reference):
    for name, parameter in find_parameters(model, mask).items():
        parameter.copy_(torch.where(mask[name], parameter, reference[name]))


@pytest.mark.parametrize(
    ("mutant", "optimizer"),
    [(gradients_alone, "AdamW"), (gradients_alone, "SGD"), (at_zero, "SGD")]
    + [(weights_alone, name) for name in ("momentum", "Adam", "RMSprop")],
)
def test_other_ways_to_freeze_are_caught(mutant, optimizer, batches):
    with pytest.raises(AssertionError, match=r"has left its reference|of 0.weight"):
        check_stays(mutant, OPTIMIZERS[optimizer], batches)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_kept_learns_as_in_a_loop_written_by_hand(optimizer, batches):
    """The oracle: gradients times the mask, weights and memory put back after each step."""
    trained = []
    for is_attached in (True, False):
        model = net()
        mask, reference = random_mask(model), copied(net(7))
        made = OPTIMIZERS[optimizer](model.parameters())
        if is_attached:
            mask.attach(model, made, freeze_to=reference)
        put_(mask, model, reference)
        for x, y in batches:
            made.zero_grad()
            F.cross_entropy(model(x), y).backward()
            for name, parameter in find_parameters(model, mask).items() if not is_attached else ():
                parameter.grad.mul_(mask[name])
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            made.step()
            if not is_attached:
                put_(mask, model, reference)
                for name, parameter in find_parameters(model, mask).items():
                    for value in made.state[parameter].values():
                        if torch.is_tensor(value) and value.shape == parameter.shape:
                            value.mul_(mask[name])
        trained.append(model.state_dict())
    for name, value in trained[0].items():
        assert torch.equal(value, trained[1][name]), name


@pytest.mark.parametrize("kind", ["state_dict", "model", "wrapped", "True", "prefix"])
def test_ways_to_say_it(kind, batches):
    model, other = net(), net(7)
    mask = random_mask(model)
    current = copied(model)
    freeze_to, reference = {
        "state_dict": (other.state_dict(), copied(other)),
        "model": (other, copied(other)),
        "wrapped": (nn.DataParallel(other), copied(other)),
        "True": (True, current),
        "prefix": (nn.DataParallel(other).state_dict(), copied(other)),
    }[kind]
    model = nn.DataParallel(model) if kind == "prefix" else model
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    with mask.attach(model, optimizer, freeze_to=freeze_to) as attached:
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()  # it is a copy that counts
        for x, y in batches[:3]:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            check_frozen(model, mask, reference, optimizer)
        assert attached.revived() == []
    check_frozen(model, mask, reference)


def test_off_is_off():
    for off in (None, False):
        model = net()
        mask = random_mask(model)
        with mask.attach(model, freeze_to=off):
            assert not model[0].weight[~mask["0.weight"]].any()


def test_optimisers_that_move_everything_are_fine_here(batches):
    """What they do to pruned weights is undone: Muon, LBFGS."""
    model = net()
    mask, reference = random_mask(model), copied(net())
    muon = torch.optim.Muon([model[0].weight, model[3].weight], lr=0.01)
    rest = [p for p in model.parameters() if p.dim() == 1]
    adam = torch.optim.AdamW(rest)
    with mask.attach(model, muon, freeze_to=True):
        for x, y in batches:
            for each in (muon, adam):
                each.zero_grad()
            F.cross_entropy(model(x), y).backward()
            for each in (muon, adam):
                each.step()
            check_frozen(model, mask, reference, muon)
    model = net()
    lbfgs = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure():
        lbfgs.zero_grad()
        loss = F.cross_entropy(model(batches[0][0]), batches[0][1])
        loss.backward()
        check_frozen(model, mask, reference)
        return loss

    with mask.attach(model, lbfgs, freeze_to=True) as attached:
        for _ in range(3):
            lbfgs.step(closure)
            check_frozen(model, mask, reference)
    assert attached.num_steps == 3


@pytest.mark.parametrize("is_given", [True, False])
def test_with_accumulation_overflow_ema_and_several_optimisers(is_given, batches):
    model = net()
    mask, reference = random_mask(model), copied(net())
    first = OPTIMIZERS["momentum"](model[0].parameters())
    second = OPTIMIZERS["Adam"](model[3].parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with mask.attach(model, first if is_given else None, freeze_to=True) as attached:
        ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        for number, (x, y) in enumerate(batches):
            with torch.autocast("cpu", torch.bfloat16):
                value = F.cross_entropy(model(x), y) * (float("inf") if number == 4 else 1)
            scaler.scale(value).backward()
            if number % 2 == 0:
                for each in (first, second):
                    scaler.unscale_(each)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                for each in (first, second):
                    scaler.step(each)
                scaler.update()
                model.zero_grad()  # of the step that was skipped: clipping made them all NaN
                for each in (first, second):
                    check_frozen(model, mask, reference, each)
                ema.update_parameters(model)
                average = find_parameters(ema, mask)
                for name, kept in mask.items():
                    drift = (average[name] - reference[name])[~kept].abs().max()
                    assert drift < 1e-6, "the average of one value is that value"
    assert attached.num_steps == (7 if is_given else 0)


def test_a_checkpoint_is_loaded(batches):
    model = net()
    mask, reference = random_mask(model), copied(net())
    optimizer = OPTIMIZERS["momentum"](model.parameters())
    attached = mask.attach(model, optimizer, freeze_to=True)
    for assign in (False, True):
        model.load_state_dict(copied(net(3)), assign=assign)
        check_frozen(model, mask, reference)
        optimizer = OPTIMIZERS["momentum"](model.parameters())
        for x, y in batches[:3]:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            check_frozen(model, mask, reference, optimizer)
    assert attached.written == attached.overwritten == ["0.weight", "3.weight"]
    with torch.no_grad():
        model[0].weight.add_(1.0)
    assert attached.revived() == ["0.weight"]
    attached.zero_()
    check_frozen(model, mask, reference)
    with torch.no_grad():
        model[0].weight.add_(1.0)
    optimizer.step()
    check_frozen(model, mask, reference, optimizer)
    attached.detach()
    with torch.no_grad():
        model[0].weight.add_(1.0)
    assert attached.revived() == ["0.weight"]
    attached.zero_()
    check_frozen(model, mask, reference)


def test_precision_changes_are_followed(batches):
    model = net()
    mask, reference = random_mask(model), copied(net())
    mask.attach(model, freeze_to=True)
    for dtype in (torch.float64, torch.bfloat16, torch.float32):
        model.to(dtype)
        optimizer = OPTIMIZERS["momentum"](model.parameters())
        for x, y in batches[:2]:
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(dtype)), y).backward()
            optimizer.step()
            check_frozen(model, mask, reference, optimizer)


def test_zeros_with_signs_and_what_is_not_finite_stay():
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5, -0.0, float("nan"), float("-inf")]]))
    reference = copied(model)
    mask = PruningMask.from_tensors({"weight": torch.tensor([[True, False, False, False]])})
    optimizer = OPTIMIZERS["Adam"](model.parameters())
    with mask.attach(model, optimizer, freeze_to=True):
        model.weight.grad = torch.tensor([[1.0, 0, 0, 0]])
        optimizer.step()
    assert torch.equal(bits(model.weight[:, 1:]), bits(reference["weight"][:, 1:]))
    assert model.weight[0, 0] < 0.5


def test_a_mask_that_moves_leaves_the_reference_behind(batches):
    """Gradual: what is pruned goes back to the reference, not to zero."""
    model = net()
    reference = copied(net())
    mask = PruningMask(model)
    policy = Gradual(polynomial(0.8, end_step=10, every_steps=2), Budget(474))
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    with mask.attach(model, optimizer, policy=policy, freeze_to=True) as attached:
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            check_frozen(model, attached.mask, reference, optimizer)
    assert attached.mask.num_kept == 474


def train(model, optimizer, batches):
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize("order", ["model first", "model last"])
def test_continues_bit_for_bit(order, batches):
    def start():
        model = net()
        optimizer = OPTIMIZERS["Adam"](model.parameters())
        mask = random_mask(model)
        return model, optimizer, mask.attach(model, optimizer, freeze_to=copied(net(7)))

    through = start()
    train(*through[:2], batches)
    half = start()
    train(*half[:2], batches[:6])
    buffer = io.BytesIO()
    torch.save([each.state_dict() for each in half], buffer)
    saved = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    again = start()
    parts = list(zip(again, saved, strict=True))
    for part, state in parts if order == "model first" else parts[::-1]:
        part.load_state_dict(state)
    train(*again[:2], batches[6:])
    for name, value in through[0].state_dict().items():
        assert torch.equal(value, again[0].state_dict()[name]), name
    assert again[2].num_steps == len(batches)


def test_a_state_under_another_reference_is_refused():
    def attached(**options):
        model = net()
        return random_mask(model).attach(model, **options)

    zeros, frozen = attached().state_dict(), attached(freeze_to=True).state_dict()
    assert zeros["freeze_to"] is None
    attached(freeze_to=net()).load_state_dict(frozen)
    with pytest.raises(UsageError, match=r"were frozen to a reference when .* attach .*with freez"):
        attached().load_state_dict(frozen)
    with pytest.raises(UsageError, match=r"were at zero when .* attach the mask without freeze_to"):
        attached(freeze_to=True).load_state_dict(zeros)
    turned = {name: value.flip(0) for name, value in net().state_dict().items()}
    for other in (net(7), net().bfloat16(), turned):
        whole = attached(freeze_to=other)
        if other is turned:
            whole.load_state_dict(attached(freeze_to=turned).state_dict())
        with pytest.raises(UsageError, match=r"'0.weight' was frozen to other values when the"):
            whole.load_state_dict(frozen)


def test_what_was_trained_is_no_reference_for_a_mask_that_moves(batches):
    """Attached after the weights of a checkpoint are in, True is not what it was."""

    def start(freeze_to):
        model = net()
        optimizer = OPTIMIZERS["AdamW"](model.parameters())
        policy = Gradual(polynomial(0.8, end_step=10, every_steps=2), Budget(474))
        make = functools.partial(
            PruningMask(model).attach, model, optimizer, policy=policy, freeze_to=freeze_to
        )
        return model, optimizer, make

    through, optimizer, make = start(True)
    attached = make()
    train(through, optimizer, batches[:5])
    saved = copy.deepcopy([each.state_dict() for each in (through, optimizer, attached)])
    train(through, optimizer, batches[5:])
    for freeze_to in (True, copied(net())):
        model, optimizer, make = start(freeze_to)
        model.load_state_dict(saved[0])
        optimizer.load_state_dict(saved[1])
        again = make()
        if freeze_to is True:
            with pytest.raises(UsageError, match=r"give the reference itself, freeze_to=state_di"):
                again.load_state_dict(saved[2])
            continue
        again.load_state_dict(saved[2])
        train(model, optimizer, batches[5:])
        check_frozen(model, again.mask, copied(net()), optimizer)
        for name, value in through.state_dict().items():
            assert torch.equal(value, model.state_dict()[name]), name


@pytest.mark.parametrize("before", [torch.float16, torch.bfloat16])
def test_another_precision_of_as_many_bits_is_another_number(before):
    """Of a checkpoint, with assign=True; and in place, under the parameter."""
    after = {torch.float16: torch.bfloat16, torch.bfloat16: torch.float16}[before]
    for is_assigned in (True, False):
        model = net().to(before)
        mask, reference = random_mask(model), copied(model)
        mask.attach(model, freeze_to=True)
        if is_assigned:
            other = {name: value.to(after) for name, value in net(3).state_dict().items()}
            model.load_state_dict(other, assign=True)
        else:
            model.to(after)
            OPTIMIZERS["SGD"](model.parameters()).step()
        assert model[0].weight.dtype == after
        check_frozen(model, mask, reference)


@pytest.mark.parametrize(
    ("freeze_to", "message"),
    [
        ("current", "freeze_to: got 'current', wanted a state_dict, a model, or True"),
        ("theta", "freeze_to: got 'theta', wanted a state_dict, a model, or True"),
        (3, "freeze_to: got 3, wanted"),
        ([1.0], "freeze_to: got .1.0., wanted"),
        ({}, "freeze_to: it has no '0.weight', which the mask names"),
        ({"0.weigth": torch.zeros(32, 64)}, "it has no '0.weight'.*did you mean '0.weigth'"),
        (nn.Linear(2, 2), "the model has no parameter '0.weight'"),
        ({**net().state_dict(), "3.weight": 0.0}, "'3.weight' is a float, wanted a tensor"),
        (
            {**net().state_dict(), "3.weight": torch.zeros(10, 3)},
            r"freeze_to: '3.weight' has shape \(10, 3\), the model has \(10, 32\)",
        ),
        (
            {**net().state_dict(), "3.weight": torch.zeros(10, 32, device="meta")},
            "'3.weight' is no dense tensor with values",
        ),
    ],
)
def test_what_is_no_reference_is_said_and_changes_nothing(freeze_to, message):
    model = net()
    before = copied(model)
    with pytest.raises(UsageError, match=message):
        random_mask(model).attach(model, freeze_to=freeze_to)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not model[0].weight._post_accumulate_grad_hooks


def test_through_compile(batches):
    model = net()
    mask, reference = random_mask(model), copied(net())
    compiled = torch.compile(model, backend="eager")
    optimizer = OPTIMIZERS["AdamW"](compiled.parameters())
    with mask.attach(compiled, optimizer, freeze_to=True):
        for x, y in batches[:4]:
            optimizer.zero_grad()
            F.cross_entropy(compiled(x), y).backward()
            optimizer.step()
            check_frozen(model, mask, reference, optimizer)


def test_sparse_fine_tuning_learns_with_a_tenth_of_the_weights(batches):
    """On real digits: what it learns is a tenth of the weights, added to the ones before."""
    model = net()
    mask, reference = random_mask(model, num_kept=236), copied(net())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    x, y = (torch.cat(each) for each in zip(*batches, strict=True))
    before = F.cross_entropy(model(x), y).item()
    with mask.attach(model, optimizer, freeze_to=True):
        for _ in range(4):
            train(model, optimizer, batches)
    assert F.cross_entropy(model(x), y).item() < before / 3
    changed = sum(int((model.get_parameter(n) != reference[n]).sum()) for n in mask)
    assert 200 < changed <= 236
