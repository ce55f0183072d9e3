"""Specs that train the tickets of a finished experiment again: on other data, by another recipe."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from lottery_ticket.data import dataset_options
from lottery_ticket.errors import UsageError
from lottery_ticket.spec._load import override_, parse_overrides, spec_from_mapping
from lottery_ticket.spec._prune import PruneSpec
from lottery_ticket.spec._spec import Spec

__all__ = ["again_spec", "retrain_spec", "transfer_spec"]

# what decides which tickets there are
_OF_THE_RUN = ("model", "prune", "rewind", "seed", "source")


def again_spec(run: Mapping[str, Any], overrides: Sequence[str] = ()) -> Spec:
    """A run's own spec, to go on with it or to change it.

    Args:
        run: the canonical values of the run's spec.
        overrides: `["train.lr=0.05"]`.

    Raises:
        UsageError: an override does not fit.

    >>> from lottery_ticket.spec import canonical, load_spec
    >>> values = canonical(load_spec("quickstart"))
    >>> canonical(again_spec(values)) == values
    True
    """
    values = copy.deepcopy(dict(run))
    override_(values, parse_overrides(overrides))
    return spec_from_mapping(values, str(run["name"]))


def transfer_spec(
    run: Mapping[str, Any], *, data: str | None = None, overrides: Sequence[str] = ()
) -> Spec:
    """Train a run's tickets level by level, against the data's own tickets, dense and reinit.

    Args:
        run: the canonical values of the run's spec.
        data: another data set; it takes over the options that it has in common with the run's.
        overrides: `["train.lr=0.05"]`; what decides the tickets themselves stays as it is.

    Raises:
        UsageError: nothing differs from the run, or an override does not fit.

    >>> from lottery_ticket.spec import canonical, load_spec
    >>> spec = transfer_spec(canonical(load_spec("lenet-mnist")), data="fashion-mnist")
    >>> spec.name, spec.data.name, spec.source.data.name
    ('lenet-mnist-to-fashion-mnist', 'fashion-mnist', 'mnist')
    """
    arms = ["ticket", "transfer", "reinit", "transfer_reinit"]
    name = f"{run['name']}-to-{data}" if data else f"{run['name']}-transferred"
    own = {"name": name, "arms": arms}
    if data is not None:
        known = dataset_options(data)
        kept = {key: value for key, value in run["data"].items() if key in known}
        own["data"] = {"name": data, **kept}
    return _derived("transfer", run, own, overrides, {})


def retrain_spec(run: Mapping[str, Any], level: int, *, overrides: Sequence[str]) -> Spec:
    """Train a run's ticket of one level again by another recipe, beside the dense net by that
    recipe, and the same mask with fresh weights.

    Args:
        run: the canonical values of the run's spec.
        level: which of its tickets.
        overrides: the other recipe, such as `["train.lr=0.05"]`.

    Raises:
        UsageError: there is no such level, nothing differs from the run, or an override does not
            fit.

    >>> from lottery_ticket.spec import canonical, load_spec
    >>> run = canonical(load_spec("quickstart"))
    >>> retrain_spec(run, 5, overrides=["train.lr=0.05"]).source.level
    5
    """
    last = PruneSpec.model_validate(run["prune"]).num_levels
    if not 1 <= level <= last:
        raise UsageError(f"retrain: level: got {level}, the run has levels 1 to {last} to retrain")
    own = {"name": f"{run['name']}-retrained", "arms": ["transfer", "transfer_reinit"]}
    return _derived("retrain", run, own, overrides, {"level": level})


def _derived(
    command: str,
    run: Mapping[str, Any],
    own: Mapping[str, Any],
    overrides: Sequence[str],
    source: dict[str, Any],
) -> Spec:
    values = copy.deepcopy({**run, **own})
    values.pop("source", None)
    values.pop("until_decided", None)  # the tickets are there, as many as there are
    parsed = parse_overrides(overrides)
    for path in parsed:
        if path[0] in _OF_THE_RUN:
            raise UsageError(
                f"--set {'.'.join(path)}: {command} takes the tickets that are there, so "
                f"{path[0]!r} is that of the run; run another experiment instead"
            )
    override_(values, parsed)
    source |= {key: run[key] for key in ("data", "train") if values[key] != run[key]}
    if not source.keys() & {"data", "train"}:
        raise UsageError(
            f"{command}: nothing differs from the run {run['name']!r}; say --set train.lr=…, "
            "another key of the recipe" + (", or --data" if command == "transfer" else "")
        )
    spec = spec_from_mapping({**values, "source": source}, command)
    if spec.replicates > run.get("replicates", 1):
        raise UsageError(
            f"{command}: replicates: got {spec.replicates}, the run has {run['replicates']}"
        )
    return spec
