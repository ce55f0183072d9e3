"""Law 1: exactly what is asked for is kept, whatever scores the weights and shares them out."""

import functools
from dataclasses import replace

import pytest
import torch
from contract_counts import DENSITY, check_counts, num_to_keep
from contract_nets import BUILT_IN, SCOPES, brief, built, rows

from lottery_ticket import UsageError
from lottery_ticket.criteria import CRITERIA, score
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import prune

# some criteria do empty layers, and `prune` says so
pytestmark = pytest.mark.filterwarnings("ignore::lottery_ticket.masks.LayerCollapseWarning")


def check_best(mask, scores, scope):
    """No weight is pruned that is worth more than one that is kept beside it."""
    for names in [list(mask)] if scope == "global" else [[name] for name in mask]:
        values = torch.cat([scores[name].flatten() for name in names])
        kept = torch.cat([mask[name].flatten() for name in names])
        if kept.any() and not kept.all():
            assert values[kept].min() >= values[~kept].max()


def check_keeps_the_best(prune, case, criterion, scope):
    entry = CRITERIA[criterion] if case.net == "MLP" else brief(criterion)
    mask = prune(case.model, density=DENSITY, criterion=entry, scope=scope, **case.given)
    dense = PruningMask(case.model)
    assert mask.is_nested_in(dense)
    check_counts(mask, scope)
    if entry.rounds == 1 and "generator" not in entry.needs:
        check_best(mask, score(criterion, model=case.model, mask=dense, **case.given), scope)


@pytest.mark.parametrize(("net", "criterion", "scope"), rows())
def test_exactly_the_best_are_kept(net, criterion, scope, case_of):
    check_keeps_the_best(prune, case_of(net), criterion, scope)


def check_ties(prune, net, criterion, scope, given):
    """A net of zeros: all its weights tie, and the lowest indices are kept, in model order."""
    model = built(net)
    with torch.no_grad():
        for name in PruningMask(model):
            model.get_parameter(name).zero_()
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    given = {**given, "initial": initial}
    mask = prune(model, density=DENSITY, criterion=brief(criterion), scope=scope, **given)
    check_counts(mask, scope)
    flat = [kept.flatten() for kept in mask.values()]
    for kept in [torch.cat(flat)] if scope == "global" else flat:
        assert bool(kept[: int(kept.sum())].all())


@pytest.mark.parametrize(
    ("net", "criterion", "scope"),
    [
        row
        for row in rows(nets=("MLP", "LSTM", "attention", "LeNet5"), has_long=False)
        if "generator" not in CRITERIA[row[1]].needs
    ],
)
def test_of_equal_weights_the_first_are_kept(net, criterion, scope, case_of):
    check_ties(prune, net, criterion, scope, case_of(net).given)


def poisoned(criterion):
    """The criterion with one score that is NaN."""
    entry = CRITERIA[criterion]

    @functools.wraps(entry.function)
    def function(*arguments, **inputs):
        scores = {n: v.clone() for n, v in entry.function(*arguments, **inputs).items()}
        scores[max(scores)].view(-1)[-1] = float("nan")
        return scores

    return replace(entry, function=function)


def check_refuses_nan(prune, case, criterion, scope):
    is_refused = False
    try:
        prune(case.model, density=DENSITY, criterion=criterion, scope=scope, **case.given)
    except UsageError as error:
        is_refused = "NaN" in str(error)
    assert is_refused, "NaN was ranked"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("criterion", BUILT_IN)
def test_nan_scores_are_refused(criterion, scope, case_of):
    check_refuses_nan(prune, case_of("MLP"), poisoned(criterion), scope)


@pytest.mark.parametrize("criterion", [c for c in BUILT_IN if CRITERIA[c].needs_weights])
def test_a_net_that_diverged_is_refused(criterion, case_of):
    case = case_of("MLP")
    with torch.no_grad():
        case.model[1].weight[0, 0] = float("nan")
    with pytest.raises(UsageError, match=r"NaN|nan"):
        prune(case.model, density=DENSITY, criterion=criterion, **case.given)


def ranked(model, density, criterion, scope, given, choose):
    """A mask by `choose(scores, count)` of each group of layers."""
    dense = PruningMask(model)
    scores = score(criterion, model=model, mask=dense, **given)
    groups = [list(dense)] if scope == "global" else [[name] for name in dense]
    masks = {}
    for names in groups:
        flat = torch.cat([scores[name].flatten().double() for name in names])
        kept = choose(flat, num_to_keep(len(flat), density))
        pieces = kept.split([dense[name].numel() for name in names])
        for name, piece in zip(names, pieces, strict=True):
            masks[name] = piece.view(dense[name].shape)
    return PruningMask.from_tensors(masks)


def above_a_threshold(scores, count):
    """`sorted[n]` and `>`: prunes one too many, and every tie."""
    return scores > scores.sort(descending=True).values[count - 1]


def above_or_at_a_threshold(scores, count):
    return scores >= scores.sort(descending=True).values[count - 1]


def the_worst(scores, count):
    return the_last_of_ties(-scores, count)


def the_last_of_ties(scores, count):
    order = scores.flip(0).nan_to_num(0.0).sort(descending=True, stable=True).indices
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[order[:count]] = True
    return kept.flip(0)


def keeping(choose):
    def mutant(model, *, density, criterion, scope, **given):
        return ranked(model, density, criterion, scope, given, choose)

    return mutant


def ignores_the_scope(model, *, scope, **asked):
    return prune(model, scope="layerwise" if scope == "global" else "global", **asked)


def counts_biases_too(model, *, density, **asked):
    num_all = sum(p.numel() for p in model.parameters())
    num = PruningMask(model).num_prunable
    return prune(model, density=num_to_keep(num_all, density) / num, **asked)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize(
    "mutant",
    [keeping(above_a_threshold), keeping(the_worst), ignores_the_scope, counts_biases_too],
)
def test_other_counts_are_caught(mutant, scope, case_of):
    with pytest.raises(AssertionError):
        check_keeps_the_best(mutant, case_of("LeNet5"), "magnitude", scope)


@pytest.mark.parametrize("mutant", [keeping(above_or_at_a_threshold), keeping(the_last_of_ties)])
def test_other_tie_rules_are_caught(mutant, case_of):
    with pytest.raises(AssertionError):
        check_ties(mutant, "MLP", "magnitude", "global", case_of("MLP").given)


def test_ranking_nan_is_caught(case_of):
    def counts_nan_as_nothing(model, *, criterion, **asked):
        @functools.wraps(criterion.function)
        def function(*arguments, **inputs):
            scores = criterion.function(*arguments, **inputs)
            return {name: values.nan_to_num(0.0) for name, values in scores.items()}

        return prune(model, criterion=replace(criterion, function=function), **asked)

    with pytest.raises(AssertionError, match="NaN was ranked"):
        check_refuses_nan(counts_nan_as_nothing, case_of("MLP"), poisoned("snip"), "global")
