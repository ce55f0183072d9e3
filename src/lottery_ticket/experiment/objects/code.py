"""What a spec names that may be a user's own code, and the tables it is looked up in."""

from collections.abc import Iterator, Mapping
from typing import Any

from lottery_ticket.arms import ARMS
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.data import DATASETS
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.objects.probes import PROBES
from lottery_ticket.models import MODELS
from lottery_ticket.pruning import POLICIES
from lottery_ticket.registry import Registry
from lottery_ticket.spec import CHOICES, Spec, canonical
from lottery_ticket.store import RunRecord

__all__ = ["REGISTRIES", "check_registered", "named_code", "source_hashes"]

REGISTRIES: dict[str, Registry[Any]] = {
    "data": DATASETS,
    "model": MODELS,
    "criterion": CRITERIA,
    "arm": ARMS,
    "policy": POLICIES,
    "probe": PROBES,
    **CHOICES,
}
"""Kind of thing → the table of what there is."""


def named_code(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, name) of each thing that a spec, as plain values, names."""
    source = spec.get("source") or {}
    for part in (spec, {**spec, **source}):
        yield "data", part["data"]["name"]
        yield "model", part["model"]["name"]
        for kind in CHOICES:
            if (name := part["train"].get(kind)) is not None:
                yield kind, name
    yield "criterion", spec["prune"]["criterion"]
    for arm in spec["arms"]:
        yield "arm", arm["name"]
        own = ARMS.get(arm["name"])
        if own is not None and own.criterion is not None:
            yield "criterion", own.criterion
        if own is not None and own.policy is not None:
            yield "policy", own.policy


def check_registered(run: RunRecord) -> None:
    """Refuse a run of which nobody has registered something yet, or that came from no spec.

    Raises:
        UsageError: says how to.
    """
    run.check_has_spec()
    for kind, name in named_code(run.spec):
        if name not in REGISTRIES[kind]:
            raise UsageError(
                f"{run.id}: its {REGISTRIES[kind].kind} {name!r} is code of yours; say where "
                "with --import FILE.py (from Python, import that file first)"
            )


def source_hashes(spec: Spec) -> dict[tuple[str, str], str]:
    """(kind, name) → hash of the source, of what is a user's own code.

    Raises:
        UsageError: a source cannot be read.
    """
    hashes = {}
    for kind, name in dict.fromkeys(named_code(canonical(spec))):
        digest = REGISTRIES[kind].entry(name).source_hash()
        if digest is not None:
            hashes[kind, name] = digest
    return hashes
