"""`prune`, the pruners people know from elsewhere, and pruning during training."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lottery_ticket import MagnitudePruner, PruningMask, Structured24Pruner, UsageError, prune
from lottery_ticket.criteria import CRITERIA, Criterion, score
from lottery_ticket.masks import Attachment, LayerCollapseWarning
from lottery_ticket.pruning import GradualPruner, Polynomial, next_mask, polynomial


def compiled(model):
    return torch.compile(model, backend="aot_eager")


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 12), nn.Linear(12, 4))


SIZE = 288 + 3456 + 48


@pytest.mark.parametrize("is_global", [True, False])
def test_magnitude_pruner(is_global):
    model = net()
    before = copy.deepcopy(model.state_dict())
    pruner = MagnitudePruner(global_pruning=is_global)
    first = pruner.prune(model, target_sparsity=0.5)
    second = pruner.prune(model, first, target_sparsity=0.9)
    assert first.num_kept == SIZE // 2
    assert second.is_nested_in(first)
    assert second.num_kept == pytest.approx(SIZE * 0.1, abs=2)
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items()), "in place"
    if not is_global:
        assert set(first.layer_sparsities.values()) == {0.5}
    kept = torch.cat([model.state_dict()[n].abs()[second[n]] for n in second])
    gone = torch.cat([model.state_dict()[n].abs()[~second[n]] for n in second])
    assert is_global == bool(kept.min() >= gone.max())


def test_magnitude_pruner_never_prunes_less():
    model = net()
    mask = MagnitudePruner().prune(model, target_sparsity=0.9)
    with pytest.raises(UsageError, match=r"sparsity 0\.5 means density 0\.5, but"):
        MagnitudePruner().prune(model, mask, target_sparsity=0.5)


def test_structured_24_pruner():
    model = net()
    pruner = Structured24Pruner()
    before = copy.deepcopy(model.state_dict())
    masks = pruner.prune_model(model)
    assert isinstance(masks, PruningMask)
    assert masks.density == 0.5
    for name, kept in masks.items():
        weight = model.state_dict()[name]
        assert torch.equal(weight, before[name] * kept)
        assert pruner.verify_24_pattern(weight)
        assert pruner.verify_24_pattern(kept)
        assert not pruner.verify_24_pattern(before[name])
        groups = before[name].movedim(1, -1).reshape(-1, 4).abs()
        wanted = groups.argsort(dim=1).argsort(dim=1) >= 2
        assert torch.equal(kept.movedim(1, -1).reshape(-1, 4), wanted)


def test_verify_24_looks_along_the_input_dimension():
    pruner = Structured24Pruner()
    weight = torch.zeros(4, 4)
    weight[0] = 1.0
    assert not pruner.verify_24_pattern(weight)
    assert pruner.verify_24_pattern(weight.T.contiguous())
    assert pruner.verify_24_pattern(weight, dim=0)


def test_prune_takes_any_criterion_and_leaves_the_model():
    model = net()
    x, y = torch.randn(16, 4, 8, 8), torch.randint(4, (16,))
    before = copy.deepcopy(model.state_dict())
    for criterion in ("magnitude", "random", "saliency", "snip", "grasp", "synflow"):
        mask = prune(model, sparsity=0.8, criterion=criterion, batches=[(x, y)])
        assert mask.num_kept == SIZE - round(SIZE * 0.8)
        assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    mask = prune(model, density=0.5, structure="channel", scope="layerwise")
    assert mask.num_kept == mask.num_prunable // 2


def test_a_collapsed_layer_warns_and_a_floor_prevents_it():
    model = net()
    with torch.no_grad():
        model[3].weight.mul_(1e-6)
    with pytest.warns(LayerCollapseWarning, match=r"3\.weight"):
        prune(model, sparsity=0.9)
    mask = prune(model, sparsity=0.9, min_layer_density=0.05)
    assert mask.num_kept == SIZE - round(0.9 * SIZE)
    assert int(mask["3.weight"].sum()) == 3


def check_rounds(next_mask):
    """Rounds, as SynFlow's 100: scored anew under each mask, at densities in equal ratios."""
    seen = []

    def noted(mask):
        seen.append(sum(int(m.sum()) for m in mask.values()))
        return {name: torch.arange(m.numel(), 0.0, -1.0).view(m.shape) for name, m in mask.items()}

    mask = PruningMask.from_tensors({"w": torch.ones(1000, dtype=torch.bool)})
    found = next_mask(Criterion(noted, rounds=4), mask, 0.0625)
    assert seen == [1000, 500, 250, 125]
    assert found["w"].nonzero().flatten().tolist() == list(range(62))


def test_rounds():
    check_rounds(next_mask)


def at_once(criterion, mask, keep):
    return next_mask(criterion.function, mask, keep)


def test_scoring_once_is_caught():
    with pytest.raises(AssertionError):
        check_rounds(at_once)


def check_gradual(make, momentum):
    model = net()
    x, y = torch.randn(64, 4, 8, 8), torch.randint(4, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=momentum)
    counts = []
    with make(model, optimizer, polynomial(0.9, begin_step=2, end_step=12, every_steps=5)) as it:
        for step in range(1, 16):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            assert it.num_steps == step
            counts.append(it.mask.num_kept)
            for name, parameter in model.named_parameters():
                if name in it.mask:
                    assert not parameter[~it.mask[name]].any()
                    buffer = optimizer.state[parameter].get("momentum_buffer")
                    assert buffer is None or not buffer[~it.mask[name]].any()
    middle = SIZE - round(SIZE * (0.9 - 0.9 * 0.5**3))
    assert counts == [SIZE] * 6 + [middle] * 5 + [SIZE - round(0.9 * SIZE)] * 4


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_gradual_pruning(momentum):
    check_gradual(GradualPruner, momentum)


class Late(Polynomial):
    def is_due(self, step):
        return super().is_due(step - 1)


def late(model, optimizer, schedule):
    return GradualPruner(model, optimizer, Late(**vars(schedule)))


def test_late_gradual_pruning_is_caught():
    with pytest.raises(AssertionError):
        check_gradual(late, 0.9)


def test_gradual_pruning_that_holds_nothing_is_caught(monkeypatch):
    monkeypatch.setattr(Attachment, "replace_mask", lambda held, mask: setattr(held, "mask", mask))
    with pytest.raises(AssertionError):
        check_gradual(GradualPruner, 0.9)


@pytest.mark.parametrize("wrap", [nn.DataParallel, AveragedModel, compiled])
@pytest.mark.parametrize("criterion", ["magnitude", "snip", "synflow"])
def test_wrapped_models_are_pruned_alike(wrap, criterion):
    model = net()
    batches = [(torch.randn(16, 4, 8, 8), torch.randint(4, (16,)))]
    entry = replace(CRITERIA[criterion], rounds=min(CRITERIA[criterion].rounds, 3))
    bare = prune(model, sparsity=0.8, criterion=entry, batches=batches)
    wrapped = prune(wrap(model), sparsity=0.8, criterion=entry, batches=batches)
    assert wrapped == bare


def test_rounds_and_n_of_m_do_not_go_together():
    with pytest.raises(UsageError, match=r"'synflow' prunes in 100 rounds .* '2:4' has only one"):
        prune(net(), density=0.5, criterion="synflow", structure="2:4", input_shape=(4, 8, 8))


def test_an_iterator_of_batches_serves_every_round():
    def gradient(model, batches, batch_loss):
        seen.append(len(list(batches)))
        return {name: model.get_parameter(name).abs() for name in ("0.weight", "2.weight")}

    seen = []
    mask = PruningMask(net(), ignore=["3"])
    batches = iter([(torch.randn(2, 4, 8, 8), torch.tensor([0, 1]))] * 3)
    next_mask(Criterion(gradient, rounds=4), mask, 0.5, model=net(), batches=batches)
    assert seen == [3, 3, 3, 3]


def two_layers():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def test_prune_takes_what_says_what_is_prunable():
    model = two_layers()
    for said in ({"ignore": ["2"]}, {"targets": ["0"]}, {"min_size": 50}):
        found = prune(model, sparsity=0.5, **said)
        assert found == prune(model, PruningMask(model, **said), sparsity=0.5)
        assert (list(found), found.num_kept) == (["0.weight"], 48)
        (name,) = said
        with pytest.raises(UsageError, match=rf"mask and {name} both say what is prunable"):
            prune(model, PruningMask(model), sparsity=0.5, **said)
    nothing_said = {"targets": None, "ignore": (), "min_size": 0}
    assert len(prune(model, PruningMask(model), sparsity=0.5, **nothing_said)) == 2


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda net: prune(net, spasity=0.5),
            "prune: unknown argument 'spasity'; did you mean 'sparsity'?",
        ),
        (
            lambda net: prune(net, sparsity=0.5, input_shapes=(6,)),
            "prune: unknown argument 'input_shapes'; did you mean 'input_shape'?",
        ),
        (
            lambda net: prune(net, sparsity=0.5, generator=torch.Generator()),
            "prune: it takes no generator=; give seed=, a number",
        ),
        (lambda net: prune(net, sparsity=0.5, keep=1), "prune: unknown argument 'keep'; valid: am"),
        (lambda net: prune(net, 0.5), "mask: got float, wanted a PruningMask; an amount has a nam"),
        (
            lambda net: prune(net, {}, sparsity=0.5),
            "mask: got dict, wanted a PruningMask; of tensors by name makes one PruningMask.from_",
        ),
        (lambda net: prune("net", sparsity=0.5), "model: got str, wanted a torch.nn.Module"),
        (
            lambda net: next_mask("magnitude", PruningMask(net), 0.5, modell=net),
            "next_mask: unknown argument 'modell'; did you mean 'model'?",
        ),
        (
            lambda net: score("magnitude", weigths={}),
            "score: unknown argument 'weigths'; did you mean 'weights'?",
        ),
        (
            lambda net: MagnitudePruner().prune(net, target_sparcity=0.5),
            "MagnitudePruner.prune: unknown argument 'target_sparcity'; did you mean 'target_sp",
        ),
        (
            lambda net: MagnitudePruner().prune(net, ignore=["2"]),
            "MagnitudePruner.prune: it takes no ignore=; a mask says it: mask=PruningMask(model, i",
        ),
        (lambda net: MagnitudePruner(globl=True), "MagnitudePruner: unknown argument 'globl'"),
        (
            lambda net: GradualPruner(
                net, optimizer_of(net), polynomial(0.5, end_step=4), min_size=3
            ),
            "GradualPruner: it takes no min_size=; a mask says it: mask=PruningMask(model, min_s",
        ),
        (
            lambda net: PruningMask(net, ignored=["2"]),
            "PruningMask: unknown argument 'ignored'; did",
        ),
        (
            lambda net: PruningMask(net).attach(net, optimiser=optimizer_of(net)),
            "attach: unknown argument 'optimiser'; did you mean 'optimizer'?",
        ),
    ],
)
def test_a_wrong_argument_is_named(call, message):
    with pytest.raises(UsageError) as refused:
        call(two_layers())
    assert str(refused.value).startswith(message)


def test_a_mask_where_it_is_said_to_belong():
    model = two_layers()
    mask = PruningMask(model, ignore=["2"])
    assert MagnitudePruner().prune(model, mask=mask).num_kept == 48
