"""What a row of the table of arms says of masks and of weights → cells and their inputs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.experiment.cells.mask import Remade, Shuffle
from lottery_ticket.experiment.objects.initial import Initial
from lottery_ticket.masks import SCOPES
from lottery_ticket.seeds import derive

if TYPE_CHECKING:
    from lottery_ticket.experiment.planning.replicate import Replicate

__all__ = ["MASKS", "WEIGHTS", "At", "mask_of", "weights_of"]


class At(NamedTuple):
    """A place in a replicate."""

    arm: str = TICKET
    level: int = 0
    draw: int = 0


def _own_mask(replicate: "Replicate", at: At) -> str:
    before = replicate.before(at)
    return replicate.add_pruned(at, before, replicate.mask(before))


def _tickets_mask(replicate: "Replicate", at: At) -> str | None:
    return replicate.mask(At(level=at.level))


def _shuffled_mask(replicate: "Replicate", at: At) -> str:
    seed = derive(replicate.root, "control", "shuffled", at.draw, at.level)
    structure = replicate.structure(replicate.setting.spec.prune.scope_at(at.level))
    return replicate.add_mask(at, Shuffle(seed, structure), mask=_tickets_mask(replicate, at))


def _random_mask(replicate: "Replicate", at: At) -> str:
    seed = derive(replicate.root, "control", "random", at.draw)
    scope = replicate.setting.spec.prune.scope_at(at.level)
    scope = "global" if scope in SCOPES else scope  # any layer's weights, or any of the structure
    return replicate.add_mask(at, replicate.selection(at, "random", scope, seed))


def _oneshot_mask(replicate: "Replicate", at: At) -> str:
    return replicate.add_pruned(at, At(), None)


def _inverted_mask(replicate: "Replicate", at: At) -> str:
    return replicate.add_pruned(at, At(), None, is_inverted=True)


def _mask_at_init(replicate: "Replicate", at: At) -> str:
    setting, criterion = replicate.setting, ARMS[at.arm].criterion
    assert criterion is not None
    how = replicate.selection(at, criterion, setting.spec.prune.scope_at(at.level), 0)
    return replicate.add_mask(at, how, seen=replicate.seen(criterion))


def _remade_mask(replicate: "Replicate", at: At) -> str:
    seed = derive(replicate.root, "control", at.arm, at.draw, at.level)
    how = Remade(at.arm, replicate.source_of("arm", at.arm), seed)
    return replicate.add_mask(at, how, mask=_tickets_mask(replicate, at))


def _sources_mask(replicate: "Replicate", at: At) -> str | None:
    assert replicate.source is not None
    return replicate.source.mask(At(level=at.level))


MASKS: dict[str, Callable[["Replicate", At], str | None]] = {
    "own": _own_mask,
    "ticket": _tickets_mask,
    "shuffled": _shuffled_mask,
    "random": _random_mask,
    "oneshot": _oneshot_mask,
    "inverted": _inverted_mask,
    "at_init": _mask_at_init,
    "source": _sources_mask,
    "during": lambda replicate, at: replicate.training(at),  # which makes its own
    "narrow": lambda replicate, at: None,
    "none": lambda replicate, at: None,
}
"""What a row of the table of arms says of its masks → the cell of such a mask."""


def mask_of(replicate: "Replicate", at: At) -> str | None:
    """The cell of the mask at a place; None where nothing is pruned."""
    if not at.level:
        return None
    mask = ARMS[at.arm].mask
    return _remade_mask(replicate, at) if callable(mask) else MASKS[mask](replicate, at)


# what decides the weights beside the seed of their draw: how they are changed, further parents
_More = tuple[Initial | None, dict[str, str]]


def _as_drawn(replicate: "Replicate", at: At) -> _More:
    return None, {}


def _signs_of_initial(replicate: "Replicate", at: At) -> _More:
    return Initial("signs", {"init": replicate.init}), {}


def _signed_constant(replicate: "Replicate", at: At) -> _More:
    return Initial("signed_constant"), {}


def _scaled(replicate: "Replicate", at: At) -> _More:
    if not at.level:
        return None, {}  # nothing is pruned: reinit's own dense net
    dims = replicate.setting.inputs.input_dims
    return Initial("scaled", {"input_dims": dict(dims)} if dims else {}), {}


def _permuted(replicate: "Replicate", at: At) -> _More:
    seed = derive(replicate.root, "control", "values_permuted", at.draw, at.level)
    return Initial("permuted", {"seed": seed}), {}


def _sources_weights(replicate: "Replicate", at: At) -> _More:
    source = replicate.source
    assert source is not None
    is_later = at.level and source.setting.rewind_step
    return None, {"weights": source.rewind_point()} if is_later else {}


WEIGHTS: dict[str, Callable[["Replicate", At], _More]] = {
    "initial": _as_drawn,
    "fresh": _as_drawn,
    "fresh_signed": _signs_of_initial,
    "fresh_scaled": _scaled,
    "permuted": _permuted,
    "signed_constant": _signed_constant,
    "source": _sources_weights,
}
"""What a row of the table of arms says of its weights → how they are changed, further parents."""


def weights_of(replicate: "Replicate", at: At) -> _More:
    """What decides the weights at a place, beside the seed of their draw."""
    weights = ARMS[at.arm].weights
    if not callable(weights):
        return WEIGHTS[weights](replicate, at)
    seed = derive(replicate.root, "control", at.arm, at.draw, at.level)
    source = replicate.source_of("arm", at.arm)
    return Initial("arm", {"arm": at.arm, "source": source, "seed": seed}), {}
