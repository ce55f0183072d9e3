"""Law 1 for structures: the number of blocks is exact, and none is kept in part; whole channels
keep the nearest number of weights."""

from dataclasses import replace

import pytest
import torch.nn.functional as F
from contract_counts import num_to_keep
from contract_nets import BUILT_IN, NETS, SCOPES

from lottery_ticket.criteria import CRITERIA
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import prune

# some criteria do empty layers, and `prune` says so
pytestmark = pytest.mark.filterwarnings("ignore::lottery_ticket.masks.LayerCollapseWarning")


def groups_of(kept, rows, columns):
    """Blocks of a layer's (outputs, inputs · kernel): which are kept whole, which are pruned."""
    matrix = kept.flatten(1)[None, None].float()
    size = (rows or 1, columns or matrix.shape[-1])
    has_kept, has_pruned = (
        F.max_pool2d(values, size, ceil_mode=True) for values in (matrix, 1 - matrix)
    )
    return ~has_pruned.bool(), ~has_kept.bool()


def check_structure(prune, case, criterion, scope, structure):
    """The number of groups is exact, and none is kept in part."""
    ignore = NETS[case.net].odd_layers if structure == "2:4" else ()
    if structure == "channel":  # and the recurrent layers, which are no convolutions either
        ones = PruningMask(case.model, targets=["re:.*"])
    else:
        ones = PruningMask(case.model, ignore=ignore)
    asked = {"density": 0.5, "scope": scope, "structure": structure}
    entry = CRITERIA[criterion]
    if structure == "2:4":
        entry = replace(entry, rounds=1)  # there is nothing between all and two of four
    mask = prune(case.model, ones, criterion=entry, **asked, **case.given)
    if structure == "2:4":
        fours = [kept.movedim(1, -1).unflatten(-1, (-1, 4)) for kept in mask.values()]
        assert all(bool((four.sum(-1) == 2).all()) for four in fours)
        return
    size = {"block:4x4": (4, 4), "channel": (None, None)}[structure]
    found = {name: groups_of(kept, *size) for name, kept in mask.items()}
    counts = {name: (int(kept.sum()), kept.numel()) for name, (kept, _) in found.items()}
    assert all(bool((kept ^ pruned).all()) for kept, pruned in found.values())
    if scope == "layerwise":
        assert all(kept == num_to_keep(all_, 0.5) for kept, all_ in counts.values())
    if structure == "channel":
        check_channels(mask, ones, counts, scope)
        return
    total = sum(all_ for _, all_ in counts.values())
    wanted = sum(num_to_keep(n, 0.5) for _, n in counts.values())
    assert sum(kept for kept, _ in counts.values()) == (
        wanted if scope == "layerwise" else num_to_keep(total, 0.5)
    )


def check_channels(mask, ones, counts, scope):
    """Half of the weights, to half a channel; at least one of each layer, and all of the output."""
    sizes = [kept[0].numel() for kept in mask.values()]
    off = max(sizes) if scope == "global" else sum(sizes)
    assert abs(mask.num_kept - mask.num_prunable / 2) <= off / 2
    assert all(kept for kept, _ in counts.values())
    output = list(ones)[-1]
    assert set(ones) - set(mask) == {output}
    assert "the model's output" in mask.left_out[output]


STRUCTURES = [("2:4", "global"), *((s, c) for s in ("block:4x4", "channel") for c in SCOPES)]
IN_STRUCTURES = [
    (net, criterion, scope, structure)
    for net in NETS
    for criterion in (BUILT_IN if net == "MLP" else ["magnitude"])
    for structure, scope in STRUCTURES
    if CRITERIA[criterion].rounds == 1 or scope == "global"
]


@pytest.mark.parametrize(("net", "criterion", "scope", "structure"), IN_STRUCTURES)
def test_structures_are_whole_and_exact(net, criterion, scope, structure, case_of):
    check_structure(prune, case_of(net), criterion, scope, structure)


def unstructured(model, mask, *, structure, scope, **asked):
    return prune(model, mask, scope=scope, **asked)


def five_channels_more(model, mask, *, structure, scope, **asked):
    made = prune(model, mask, structure=structure, scope=scope, **asked)
    name = next(name for name, kept in made.items() if not kept.all())
    rows = made[name].clone()
    rows[(~rows.flatten(1).any(1)).nonzero().flatten()[:5]] = True
    return PruningMask.from_tensors({**made, name: rows}).told_by(made)


@pytest.mark.parametrize(
    ("mutant", "structure"),
    [(unstructured, s) for s in ("2:4", "block:4x4", "channel")]
    + [(five_channels_more, "channel")],
)
def test_other_structures_are_caught(mutant, structure, case_of):
    with pytest.raises(AssertionError):
        check_structure(mutant, case_of("MLP"), "magnitude", "global", structure)
