"""How a run was done, in words, from its record alone: each sentence is true of that run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from lottery_ticket.analysis import NO_VERDICT, Verdict, format_percent, margin_text
from lottery_ticket.arms import ARMS, REINIT, TICKET, Arm
from lottery_ticket.papers._references import SOFTWARE, uses
from lottery_ticket.papers._words import Citation, Cite, Part
from lottery_ticket.steps import Duration
from lottery_ticket.store import RunRecord

__all__ = ["methods"]

_LOSSES = {
    "cross_entropy": "the cross-entropy",
    "mse": "the mean squared error",
    "nll": "the negative log-likelihood",
}
_OPTIMIZERS = {"sgd": "stochastic gradient descent", "adam": "Adam", "adamw": "AdamW"}
_SCOPES = {
    "global": "over all layers together",
    "layerwise": "within each layer",
    "channel": "by whole channels",
}
_NONE = Arm(pipeline="lth")
_UNITS = {"ep": "epoch", "it": "step"}
_RECIPE = {
    "momentum": "momentum",
    "betas": "betas",
    "weight_decay": "weight decay",
    "clip_norm": "gradients clipped to a norm of",
}


@dataclass(frozen=True)
class _Run:
    """What the sentences are made from."""

    record: RunRecord
    rows: Sequence[Mapping[str, Any]]
    verdict: Verdict | None
    version: str

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.record.spec

    @property
    def arms(self) -> list[Mapping[str, Any]]:
        return list(self.spec["arms"])

    @property
    def rewinds_later(self) -> bool:
        return Duration.parse(self.spec.get("rewind", "0it")).count > 0

    @property
    def names(self) -> list[str]:
        return [arm["name"] for arm in self.arms]

    def distinct(self, column: str) -> list[Any]:
        """The values of a column of the table, each once."""
        found = dict.fromkeys(row.get(column) for row in self.rows)
        return [value for value in found if value is not None]


def methods(
    record: RunRecord,
    rows: Sequence[Mapping[str, Any]],
    verdict: Verdict | None,
    *,
    version: str,
) -> Citation:
    """The methods paragraph of a run.

    Args:
        record: of the run.
        rows: its table: the trainings that are finished.
        verdict: of the run; None where there is none yet.
        version: of this software, which says it.
    """
    run = _Run(record, rows, verdict, version)
    said = (_model, _training, _search, _controls, _replicates, _judged, _executed)
    parts: list[Part] = []
    for sentences in said:
        for sentence in sentences(run):
            parts += [" ", *sentence] if parts else sentence
    return Citation(tuple(part for part in parts if part != ""))


def _cite(kind: str, *names: str) -> list[Part]:
    """What things of the library's own rest on; nothing where that is no paper, or not known."""
    keys = dict.fromkeys(key for name in names for key in uses()[kind].get(name, ()))
    return [Cite(tuple(keys))] if keys else []


def _is_own(kind: str, name: str) -> bool:
    """Whether something is the user's, by not being the library's."""
    return name not in uses()[kind]


def _options(values: Mapping[str, Any], skipped: Iterable[str] = ("name",)) -> str:
    """Options in brackets, as they are written in a spec."""
    told = {key: value for key, value in values.items() if key not in skipped}
    if isinstance(path := told.get("path"), str):  # where it lay is nobody's business
        told["path"] = PurePath(path).name
    text = ", ".join(f"{key} {_plain(value)}" for key, value in told.items())
    return f" ({text})" if text else ""


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} {_plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _length(text: str) -> str:
    """`"20ep"` → `"20 epochs"`."""
    length = Duration.parse(text)
    return f"{length.count:,} {_UNITS[length.unit]}{'' if length.count == 1 else 's'}"


def _model(run: _Run) -> Iterable[list[Part]]:
    record, model = run.record, run.spec["model"]
    name = model["name"]
    own = " (our own model)" if _is_own("model", name) else ""
    layers = len(record.layers)
    size = f"{record.num_prunable:,} prunable weights in {layers} layer{'s' if layers != 1 else ''}"
    start: list[Part] = [f"We trained {record.model or name}{own}", *_cite("model", name)]
    if record.searches:
        yield [*start, f", which has {size}, in a training loop of our own."]
    else:
        data = run.spec["data"]
        told = " (our own data set)" if _is_own("data", data["name"]) else _options(data)
        of = f", which has {size}, on {data['name']}{told}"
        yield [*start, of, *_cite("data", data["name"]), *_tested(run), "."]
    init = model.get("init")
    if isinstance(init, str):
        yield [f"Its weights were initialised by {init}", *_cite("init", init), "."]
    elif init:
        yield ["Its initial weights are those of a file."]


def _tested(run: _Run) -> list[Part]:
    counts = run.distinct("num_test")
    return [f", with {counts[0]:,} test examples"] if len(counts) == 1 else []


def _training(run: _Run) -> Iterable[list[Part]]:
    train = run.spec.get("train") or {}
    if run.record.searches or not train:
        return
    loss, optimizer = train.get("loss", "cross_entropy"), train["optimizer"]
    aim = _LOSSES.get(loss, f"our own loss {loss}") + _options(train.get("loss_options", {}))
    by = _OPTIMIZERS.get(optimizer, f"our own optimizer {optimizer}")
    by += _options(train.get("optimizer_options", {}))
    yield [
        f"Nets were trained to minimise {aim} by {by}",
        *_cite("optimizer", optimizer),
        *_recipe(train),
        f", at a learning rate of {train['lr']:g}",
        *_schedule(train),
        f", in batches of {train['batch_size']:,} for {_length(train['duration'])}.",
    ]
    if (augment := train.get("augment")) is not None:
        own = "our own augmentation " if _is_own("augment", augment) else ""
        told = _options(train.get("augment_options", {}))
        yield [f"Images were augmented by {own}{augment}{told}", *_cite("augment", augment), "."]
    if train.get("precision"):
        yield [f"It computed in {train['precision']}."]
    if (metric := train.get("metric")) is not None:
        yield [f"Trainings are judged by our own metric {metric}."]


def _recipe(train: Mapping[str, Any]) -> list[Part]:
    found: list[Part] = []
    for name, words in _RECIPE.items():
        if train.get(name):
            found += [f", {words} {_plain(train[name])}", *_cite("option", name)]
    return found + ([", in Nesterov's form", *_cite("option", "nesterov")]
                    if train.get("nesterov") else [])  # fmt: skip


def _schedule(train: Mapping[str, Any]) -> list[Part]:
    name = train.get("schedule", "constant")
    found: list[Part] = []
    if name == "step":
        at = ", ".join(map(_length, train["milestones"]))
        found = [f", multiplied by {train.get('gamma') or 0.1:g} after {at}"]
    elif name == "cosine":
        found = [", which fell along a cosine", *_cite("schedule", name)]
    elif name != "constant":
        found = [f", under our own schedule {name}{_options(train.get('schedule_options', {}))}"]
    if train.get("warmup"):
        found += [f", warmed up over {_length(train['warmup'])}", *_cite("option", "warmup")]
    return found


def _search(run: _Run) -> Iterable[list[Part]]:
    prune = run.spec["prune"]
    if run.spec.get("source"):
        yield from _source(run.spec["source"])
    masks = {ARMS[name].mask if name in ARMS else "" for name in run.names}
    has_ticket = bool(masks & {"ticket", "shuffled"}) or any(map(callable, masks))
    has_ticket = has_ticket or TICKET in run.names
    if not has_ticket and not masks & {"own", "oneshot", "inverted"}:
        return
    yield _sizes(run, prune)
    yield _score(prune)
    if has_ticket and not prune.get("once"):
        yield _rewinding(run)


def _sizes(run: _Run, prune: Mapping[str, Any]) -> list[Part]:
    """How many levels there are, and how far down they go."""
    lead = TICKET if TICKET in run.names else run.names[0]
    kept = {row.level: row.num_kept for row in run.record.rows if row.arm == lead}
    fewest, num_levels = min(kept.values()), max(kept)
    share = format_percent(fewest / run.record.num_prunable)
    if prune.get("once"):
        how = f"The trained dense network was pruned once to each of {num_levels} densities"
    else:
        levels = f"{num_levels} level{'' if num_levels == 1 else 's'}"
        how = f"Tickets were searched for by pruning and training again, over {levels}"
    down = f", down to {share} of the prunable weights ({fewest:,})."
    return [how, *_cite("always", "search"), down, *_amount(prune)]


def _source(source: Mapping[str, Any]) -> Iterable[list[Part]]:
    told = [f"on {source['data']['name']}"] if source.get("data") else []
    told += ["by another recipe"] if source.get("train") else []
    yield [f"Tickets that had been found {' and '.join(told)} were trained here too (transfer)."]


def _amount(prune: Mapping[str, Any]) -> list[Part]:
    if prune.get("rate") is None:
        return []
    said = f" Each level pruned {_percent(prune['rate'])} of the weights that were left"
    own = prune.get("rates") or {}
    said += "".join(f", {_percent(rate)} in {layer}" for layer, rate in own.items())
    return [f"{said}."]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _score(prune: Mapping[str, Any]) -> list[Part]:
    name, scope = prune["criterion"], prune["scope"]
    own = "our own criterion " if _is_own("criterion", name) else "the criterion "
    where = _SCOPES.get(scope, f"in the structure {scope}")
    kind = scope if scope in _SCOPES else "n:m"
    ignored = prune.get("ignore") or ()
    left = f"; {', '.join(ignored)} stayed dense" if ignored else ""
    options = _options(prune.get("criterion_options", {}))
    return [
        f"Weights with the lowest scores went, by {own}{name}{options}",
        *_cite("criterion", name),
        f", compared {where}",
        *_cite("scope", kind),
        f"{left}.",
    ]


def _rewinding(run: _Run) -> list[Part]:
    pipeline = run.spec.get("pipeline")
    if pipeline is not None and pipeline["weights_from"] == "end":
        name = "finetune" if pipeline["lr_from"] == "end" else "lr_rewind"
        return ["The others kept their trained values", *_cite("pipeline", name), "."]
    step = Duration.parse(run.spec.get("rewind", "0it"))
    if step.count:
        at = f"{_UNITS[step.unit]} {step.count:,} of the dense training"
        return [
            f"The others were set back to their values at {at}",
            *_cite("pipeline", "rewind"),
            ", and were trained on from there.",
        ]
    return ["The others were set back to their initial values", *_cite("pipeline", "lth"), "."]


def _controls(run: _Run) -> Iterable[list[Part]]:
    others = [arm for arm in run.arms if arm["name"] != TICKET]
    if not others:
        return
    found: list[Part] = ["Beside the ticket we trained " if TICKET in run.names else "We trained "]
    for number, arm in enumerate(others):
        found += ["; " if number else "", *_control(run, arm)]
    yield [*found, "."]


def _control(run: _Run, arm: Mapping[str, Any]) -> list[Part]:
    name = arm["name"]
    meaning = ARMS[name].meaning if name in ARMS else ""
    meaning = meaning.removeprefix("A control: ").removeprefix("A control of transfer: ")
    first = meaning.partition(". ")[0].rstrip(".")
    first = first[:1].lower() + first[1:]
    if run.rewinds_later and ARMS.get(name, _NONE).pipeline is None:
        first = first.replace("initial weights", "weights of that step")
    own = "our own arm " if _is_own("arm", name) else ""
    draws = f", {arm['draws']} draws in each replicate" if arm.get("draws", 1) > 1 else ""
    long = f", trained {arm['stretch']} times as long" if arm.get("stretch") else ""
    told = f" ({first})" if first else ""
    return [f"{own}{name}{told}{draws}{long}{_options(arm.get('policy', {}))}", *_cite("arm", name)]


def _replicates(run: _Run) -> Iterable[list[Part]]:
    count = len({row.replicate for row in run.record.rows})
    if run.record.searches:
        seeds = "under a seed of its own"
    else:
        seeds = f"with seeds of its own, derived from seed {run.spec.get('seed', 0)}"
    if count == 1:
        yield [f"Everything was done once, {seeds}."]
    else:
        yield [f"Everything was done in {count} replicates, each {seeds}."]
    planned = len({row.cell for row in run.record.rows})
    done = len({row["cell"] for row in run.rows})
    if done < planned:
        yield [f"Of {planned:,} trainings {done:,} are finished."]


def _judged(run: _Run) -> Iterable[list[Part]]:
    verdict = run.verdict
    if verdict is None:
        return
    arms = verdict.arms
    margin = f"by {margin_text(verdict.margin_stated, verdict.metric)}, in {verdict.metric.label}"
    second = arms.loc[(arms["arm"] == REINIT) & (arms["level"] == 0)]
    dense = "the dense network (the mean of ticket's and reinit's)" if len(second) else "dense"
    if REINIT not in set(arms["arm"]):
        said = f"A ticket matches dense where it is shown not to be worse {margin}"
        yield [f"{said}, one-sided at 5 %", *_spread(verdict), "."]
        return
    said = (
        f"A ticket is called winning where it is shown not to be worse than {dense} {margin}, and"
    )
    said += " to be better than reinit, both one-sided at 5 %"
    yield [said, *_cite("verdict", "both"), *_spread(verdict), "."]
    if verdict.label == NO_VERDICT:
        yield ["Nothing varies here that this could be tested by, so there is no verdict."]
    elif verdict.claim is not None and verdict.claim.is_stated_before:
        level = verdict.claim.level
        yield [f"Level {level} was named before the first training, and is tested alone."]
    else:
        together = "Over all levels together claims are held to 5 % by Holm's procedure"
        yield [together, *_cite("verdict", "levels"), "."]


def _spread(verdict: Verdict) -> list[Part]:
    if verdict.label == NO_VERDICT:
        return []
    pooled = ", variances pooled over neighbouring levels that vary alike" * (
        len(verdict.levels) > 1
    )
    return [f", by Welch's test over replicates{pooled}", *_cite("verdict", "spread")]


def _executed(run: _Run) -> Iterable[list[Part]]:
    places = {_place(row) for row in run.rows if row.get("device")}
    threads = sorted({int(row["threads"]) for row in run.rows if row.get("threads")})
    versions = sorted({str(row["versions"]) for row in run.rows if row.get("versions")})
    seconds = [row["train_seconds"] for row in run.rows if row.get("train_seconds") is not None]
    if places:
        each = f", {_either(threads)} thread{'' if threads == [1] else 's'} each" if threads else ""
        took = f", in {sum(seconds):,.0f} s of training in all" if seconds else ""
        yield [f"Trainings ran on {' and '.join(sorted(places))}{each}{took}."]
    made = f", with {' or '.join(versions)}" if versions else ""
    by = f", by lottery_ticket; its version {run.version} has analysed them"
    yield [f"They were made in PyTorch{made}", *_cite("always", "torch"), by, Cite((SOFTWARE,)),
           "."]  # fmt: skip


def _place(row: Mapping[str, Any]) -> str:
    if row["device"] != "cpu":
        return str(row["device"])
    return f"a CPU ({row['cpu']})" if row.get("cpu") else "a CPU"


def _either(values: Sequence[int]) -> str:
    return " or ".join(map(str, values))
