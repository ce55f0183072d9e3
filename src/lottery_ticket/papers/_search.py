"""How the masks of a run came about, in words."""

from collections.abc import Iterable, Mapping
from typing import Any

from lottery_ticket.analysis import format_percent
from lottery_ticket.arms import ARMS, TICKET, Arm
from lottery_ticket.papers._told import UNITS, Told, cite, is_own, options
from lottery_ticket.papers._words import Part
from lottery_ticket.steps import Duration

__all__ = ["UNKNOWN", "search"]

UNKNOWN = Arm(mask="", pipeline="lth")
"""An arm of the user's whose code is not here."""

_SCOPES = {
    "global": "over all layers together",
    "layerwise": "within each layer",
    "channel": "by whole channels",
}
_SEARCHED = {"own", "source"}
_FROM_DENSE = {"oneshot", "inverted"}
_SCORED = {*_SEARCHED, *_FROM_DENSE, "start"}
_MOST_DENSITIES = 8


def search(run: Told) -> Iterable[list[Part]]:
    """The sentences."""
    origins = {_origin(run, name) for name in run.names}
    if run.spec.get("source"):
        yield _source(run)
    sizes = _sizes(run)
    if not sizes:
        return
    yield _extent(run, origins, sizes)
    if origins & _SCORED:
        yield _score(run, origins)
    elif origins & {"at_init"}:
        yield [f"Scores were compared {_compared(run)}", *_scope_papers(run), f"{_left(run)}."]
    elif left := _left(run).removeprefix("; "):
        yield [f"{left}."]
    if any(_is_set_back(run, name) for name in run.names):
        yield _rewinding(run)


def _origin(run: Told, name: str) -> str:
    """Where an arm's masks come from, as `Arm.mask` has it; those of tickets are `own`, or `start`
    where they are made before any training."""
    arm = ARMS.get(name, UNKNOWN)
    if callable(arm.mask) or arm.mask in (TICKET, "shuffled") or arm.borrows:
        arm = ARMS[TICKET]
    ours = run.spec.get("pipeline") or {}
    is_at_start = arm.pipeline == "at_init" or (
        arm.pipeline is None and ours.get("prune_at") == "start"
    )
    return "start" if arm.mask == "own" and is_at_start else str(arm.mask)


def _is_set_back(run: Told, name: str) -> bool:
    """Whether the weights that an arm's masks keep go where the ticket's pipeline puts them."""
    arm = ARMS.get(name, UNKNOWN)
    takes = arm.takes_masks or arm.mask == "shuffled"
    return (takes or arm.pipeline is None) and _origin(run, name) in _SEARCHED | _FROM_DENSE


def _lead(run: Told) -> set[str]:
    """The arms whose sizes are told: the ticket, else those with masks, else what there is."""
    if TICKET in run.names:
        return {TICKET}
    pruned = {name for name in run.names if _origin(run, name) not in ("narrow", "none", "")}
    return pruned or {name for name in run.names if _origin(run, name) != "none"}


def _sizes(run: Told) -> dict[int, int]:
    """Level → how many weights it keeps; without the dense net."""
    lead, sizes = _lead(run), dict[int, int]()
    for row in run.record.rows:
        if row.arm in lead and row.level:
            sizes[row.level] = min(row.num_kept, sizes.get(row.level, row.num_kept))
    return sizes


def _extent(run: Told, origins: set[str], sizes: Mapping[int, int]) -> list[Part]:
    """How many levels there are, and how far down they go."""
    prune, by = run.spec["prune"], list[Part]()
    is_stepwise = bool(origins & _SEARCHED) and not prune.get("once")
    densities = f"{len(sizes)} densit{'y' if len(sizes) == 1 else 'ies'}"
    if is_stepwise:
        how = f"Tickets were searched for by pruning and training again, over {_levels(run)}"
        by = cite("always", "search")
    elif origins & (_SEARCHED | _FROM_DENSE):
        each = "" if len(sizes) == 1 else "each of "
        how = f"The trained dense network was pruned once to {each}{densities}"
        by = cite("always", "search") if origins & _SEARCHED else []
    else:
        how = f"Networks of {densities} were trained beside the dense one"
    shares = [format_percent(sizes[n] / run.record.num_prunable) for n in sorted(sizes)]
    is_told = prune.get("rate") is None and not run.record.searches
    if is_told and 1 < len(shares) <= _MOST_DENSITIES:
        how += f" ({', '.join(shares)})"
    fewest = min(sizes.values())
    share = format_percent(fewest / run.record.num_prunable)
    down = f", down to {share} of the prunable weights ({fewest:,})."
    return [how, *by, down, *_amount(prune, is_stepwise=is_stepwise, of=origins)]


def _levels(run: Told) -> str:
    """Searches of one run may go on for longer than others."""
    lead, deepest = _lead(run), dict[int, int]()
    for row in run.record.rows:
        if row.arm in lead:
            deepest[row.replicate] = max(row.level, deepest.get(row.replicate, 0))
    least, most = min(deepest.values()), max(deepest.values())
    span = str(most) if least == most else f"{least} to {most}"
    return f"{span} level{'s' * (most > 1)}"


def _source(run: Told) -> list[Part]:
    source = run.spec["source"]
    told = [f"on {source['data']['name']}"] if source.get("data") else []
    told += ["by another recipe"] if source.get("train") else []
    too = " too" if TICKET in run.names else ""
    return [f"Tickets that had been found {' and '.join(told)} were trained here{too} (transfer)."]


def _amount(prune: Mapping[str, Any], *, is_stepwise: bool, of: set[str]) -> list[Part]:
    if prune.get("rate") is None or of <= {"narrow", "none", ""}:
        return []
    rate, own = _percent(prune["rate"]), prune.get("rates") or {}
    also = "".join(f", {_percent(less)} in {layer}" for layer, less in own.items())
    if is_stepwise:
        return [f" Each level pruned {rate} of the weights that were left{also}."]
    return [f" Each density leaves out {rate} of the weights of the one before{also}."]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _score(run: Told, origins: set[str]) -> list[Part]:
    prune, name = run.spec["prune"], _criterion(run)
    own = "our own criterion " if is_own("criterion", name) else "the criterion "
    told = options(prune.get("criterion_options", {})) if name == prune["criterion"] else ""
    least = "The weights with the lowest scores were pruned"
    if not origins & (_SCORED - {"inverted"}):
        least = "The weights with the highest scores were pruned, and the lowest were kept"
    elif "inverted" in origins:
        least += " (of inverted, those with the highest)"
    return [
        f"{least}, scored by {own}{name}{told}",
        *cite("criterion", name),
        f", compared {_compared(run)}",
        *_scope_papers(run),
        f"{_left(run)}.",
    ]


def _criterion(run: Told) -> str:
    """That of the spec, unless all who are scored have one of their own."""
    scored = [name for name in run.names if _origin(run, name) in _SCORED]
    takes = [ARMS[name] for name in scored if name in ARMS]
    named = [arm.criterion for arm in takes if not callable(arm.mask) and arm.criterion]
    return named[0] if named and len(named) == len(takes) else run.spec["prune"]["criterion"]


def _compared(run: Told) -> str:
    scope = run.spec["prune"]["scope"]
    return _SCOPES.get(scope, f"in the structure {scope}")


def _scope_papers(run: Told) -> list[Part]:
    scope = run.spec["prune"]["scope"]
    return cite("scope", scope if scope in _SCOPES else "n:m")


def _left(run: Told) -> str:
    ignored = run.spec["prune"].get("ignore") or ()
    return f"; {', '.join(ignored)} stayed dense" if ignored else ""


def _rewinding(run: Told) -> list[Part]:
    pipeline = run.spec.get("pipeline")
    if pipeline is not None and pipeline["weights_from"] == "end":
        name = "finetune" if pipeline["lr_from"] == "end" else "lr_rewind"
        return ["The others kept their trained values", *cite("pipeline", name), "."]
    step = Duration.parse(run.spec.get("rewind", "0it"))
    if step.count:
        at = f"{UNITS[step.unit]} {step.count:,} of the dense training"
        return [
            f"The others were set back to their values at {at}",
            *cite("pipeline", "rewind"),
            ", and were trained on from there.",
        ]
    return ["The others were set back to their initial values", *cite("pipeline", "lth"), "."]
