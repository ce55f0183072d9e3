"""How a run was done, in words, from its record alone: each sentence is true of that run."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lottery_ticket.analysis import NO_VERDICT, Verdict, alpha_text, margin_text
from lottery_ticket.arms import ARMS, REINIT, TICKET, Arm
from lottery_ticket.papers._references import SOFTWARE
from lottery_ticket.papers._search import UNKNOWN, search
from lottery_ticket.papers._told import Told, cite, is_own, length, options, plain
from lottery_ticket.papers._words import Citation, Cite, Part
from lottery_ticket.store import RunRecord

__all__ = ["methods"]

_LOSSES = {
    "cross_entropy": "the cross-entropy",
    "mse": "the mean squared error",
    "nll": "the negative log-likelihood",
}
_OPTIMIZERS = {"sgd": "stochastic gradient descent", "adam": "Adam", "adamw": "AdamW"}
_RECIPE = {
    "momentum": "momentum",
    "betas": "betas",
    "weight_decay": "weight decay",
    "clip_norm": "gradients clipped to a norm of",
}


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
    run = Told(record, rows, verdict, version)
    said = (_model, _training, search, _controls, _replicates, _judged, _executed)
    parts: list[Part] = []
    for sentences in said:
        for sentence in sentences(run):
            parts += [" ", *sentence] if parts else sentence
    return Citation(tuple(part for part in parts if part != ""))


def _model(run: Told) -> Iterable[list[Part]]:
    record, model = run.record, run.spec["model"]
    name = model["name"]
    own = " (our own model)" if is_own("model", name) else ""
    layers = len(record.layers)
    size = f"{record.num_prunable:,} prunable weights in {layers} layer{'s' if layers != 1 else ''}"
    start: list[Part] = [f"We trained {record.model or name}{own}", *cite("model", name)]
    if record.searches:
        yield [*start, f", which has {size}, in a training loop of our own."]
    else:
        data = run.spec["data"]
        told = " (our own data set)" if is_own("data", data["name"]) else options(data)
        of = f", which has {size}, on {data['name']}{told}"
        yield [*start, of, *cite("data", data["name"]), *_tested(run), "."]
    init = model.get("init")
    if isinstance(init, str):
        yield [f"Its weights were initialised by {init}", *cite("init", init), "."]
    elif init:
        yield ["Its initial weights are those of a file."]


def _tested(run: Told) -> list[Part]:
    counts = run.distinct("num_test")
    return [f", with {counts[0]:,} test examples"] if len(counts) == 1 else []


def _training(run: Told) -> Iterable[list[Part]]:
    train = run.spec.get("train") or {}
    if run.record.searches or not train:
        return
    loss, optimizer = train.get("loss", "cross_entropy"), train["optimizer"]
    aim = _LOSSES.get(loss, f"our own loss {loss}") + options(train.get("loss_options", {}))
    by = _OPTIMIZERS.get(optimizer, f"our own optimizer {optimizer}")
    by += options(train.get("optimizer_options", {}))
    yield [
        f"Nets were trained to minimise {aim} by {by}",
        *cite("optimizer", optimizer),
        *_recipe(train),
        f", at a learning rate of {train['lr']:g}",
        *_schedule(train),
        f", in batches of {train['batch_size']:,} for {length(train['duration'])}.",
    ]
    if (augment := train.get("augment")) is not None:
        own = "our own augmentation " if is_own("augment", augment) else ""
        told = options(train.get("augment_options", {}))
        yield [f"Images were augmented by {own}{augment}{told}", *cite("augment", augment), "."]
    if train.get("precision"):
        yield [f"It computed in {train['precision']}."]
    if (metric := train.get("metric")) is not None:
        yield [f"Trainings are judged by our own metric {metric}."]


def _recipe(train: Mapping[str, Any]) -> list[Part]:
    found: list[Part] = []
    for name, words in _RECIPE.items():
        if train.get(name):
            found += [f", {words} {plain(train[name])}", *cite("option", name)]
    return found + ([", in Nesterov's form", *cite("option", "nesterov")]
                    if train.get("nesterov") else [])  # fmt: skip


def _schedule(train: Mapping[str, Any]) -> list[Part]:
    name = train.get("schedule", "constant")
    found: list[Part] = []
    if name == "step":
        at = ", ".join(map(length, train["milestones"]))
        found = [f", multiplied by {train.get('gamma') or 0.1:g} after {at}"]
    elif name == "cosine":
        found = [", which fell along a cosine", *cite("schedule", name)]
    elif name != "constant":
        found = [f", under our own schedule {name}{options(train.get('schedule_options', {}))}"]
    if train.get("warmup"):
        found += [f", warmed up over {length(train['warmup'])}", *cite("option", "warmup")]
    return found


def _controls(run: Told) -> Iterable[list[Part]]:
    others = [arm for arm in run.arms if arm["name"] != TICKET]
    if not others:
        return
    found: list[Part] = ["Beside the ticket we trained " if TICKET in run.names else "We trained "]
    for number, arm in enumerate(others):
        found += ["; " if number else "", *_control(run, arm)]
    yield [*found, "."]


def _arm(name: str) -> Arm:
    return ARMS.get(name, UNKNOWN)


def _control(run: Told, arm: Mapping[str, Any]) -> list[Part]:
    name = arm["name"]
    meaning = _arm(name).meaning.removeprefix("A control: ").removeprefix("A control of transfer: ")
    first = meaning.partition(". ")[0].rstrip(".")
    first = first[:1].lower() + first[1:]
    if run.rewinds_later and _arm(name).pipeline is None:
        first = first.replace("initial weights", "weights of that step")
    if run.spec["prune"].get("once"):
        first = first.replace("pruned level by level", "pruned once")
    own = "our own arm " if is_own("arm", name) else ""
    draws = _draws(run, name)
    long = f", trained {arm['stretch']} times as long" if arm.get("stretch") else ""
    told = f" ({first})" if first else ""
    return [f"{own}{name}{told}{draws}{long}{options(arm.get('policy', {}))}", *cite("arm", name)]


def _draws(run: Told, name: str) -> str:
    """How often an arm was trained in a replicate, and in which: a search trains what it is asked
    for."""
    drawn = defaultdict[tuple[int, int], set[int]](set)
    for row in run.record.rows:
        if row.arm == name and row.level:  # several draws may share a dense net
            drawn[row.replicate, row.level].add(row.draw)
    counts = sorted({len(draws) for draws in drawn.values()})
    among, of = {replicate for replicate, _ in drawn}, {row.replicate for row in run.record.rows}
    where = "each replicate" if among == of else f"{len(among)} of {len(of)} replicates"
    if not counts or counts == [1]:
        return "" if among == of or not counts else f", in {where}"
    few = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f", {few} draws in {where}"


def _replicates(run: Told) -> Iterable[list[Part]]:
    made = defaultdict[int, set[tuple[str, int, int]]](set)
    for row in run.record.rows:
        made[row.replicate].add((row.arm, row.level, row.draw))
    if run.record.searches:
        seeds = "under a seed of its own"
    else:
        seeds = f"with seeds of its own, derived from seed {run.spec.get('seed', 0)}"
    if len(made) == 1:
        has_draws = any(draw for _, _, draw in made.popitem()[1])
        yield [f"Everything was done {'in one replicate' if has_draws else 'once'}, {seeds}."]
    elif len(set(map(frozenset, made.values()))) == 1:
        yield [f"Everything was done in {len(made)} replicates, each {seeds}."]
    else:
        unlike = "they did not train the same levels and draws"
        yield [f"There were {len(made)} replicates, each {seeds}; {unlike}."]
    planned = len({row.cell for row in run.record.rows})
    done = len({row["cell"] for row in run.rows})
    if done < planned:
        of_arms = " of these arms" * bool(
            run.record.others
        )  # those of tickets that are no arm go first
        yield [f"Of {planned:,} trainings{of_arms} {done:,} are finished."]


def _judged(run: Told) -> Iterable[list[Part]]:
    verdict = run.verdict
    if verdict is None:
        return
    arms = verdict.arms
    margin = f"by {margin_text(verdict.margin_stated, verdict.metric)}, in {verdict.metric.label}"
    second = arms.loc[(arms["arm"] == REINIT) & (arms["level"] == 0)]
    dense = "the dense network (the mean of ticket's and reinit's)" if len(second) else "dense"
    if REINIT in set(arms["arm"]):
        rule = f"A ticket is called winning where it is shown not to be worse than {dense} {margin}"
        rule += f", and to be better than reinit, both one-sided at {alpha_text(verdict)}"
        yield [rule, *cite("verdict", "both"), *_spread(verdict), "."]
    else:
        rule = f"A ticket matches dense where it is shown not to be worse {margin}"
        yield [f"{rule}, one-sided at {alpha_text(verdict)}", *_spread(verdict), "."]
    if (look := verdict.look) is not None:
        which = f"This was look {look.number} of {look.num_looks}, with {look.num_replicates}"
        total = f"the chances of a false claim of all looks add up to {100 * look.total:.3g} %"
        yield [f"{which} replicates; {total}."]
    if verdict.label == NO_VERDICT:
        yield ["Nothing varies here that this could be tested by, so there is no verdict."]
    elif REINIT not in set(arms["arm"]):
        return
    elif verdict.claim is not None and verdict.claim.is_stated_before:
        level = verdict.claim.level
        yield [f"Level {level} was named before the first training, and is tested alone."]
    else:
        together = (
            f"Over all levels together claims are held to {alpha_text(verdict)} by Holm's procedure"
        )
        yield [together, *cite("verdict", "levels"), "."]


def _spread(verdict: Verdict) -> list[Part]:
    if verdict.label == NO_VERDICT:
        return []
    pooled = ", variances pooled over neighbouring levels that vary alike" * (
        len(verdict.levels) > 1
    )
    return [f", by Welch's test over replicates{pooled}", *cite("verdict", "spread")]


def _executed(run: Told) -> Iterable[list[Part]]:
    places = {_place(row) for row in run.rows if row.get("device")}
    threads = sorted({int(row["threads"]) for row in run.rows if row.get("threads")})
    versions = sorted({str(row["versions"]) for row in run.rows if row.get("versions")})
    # arms share trainings, such as that of the dense net
    cells = {row["cell"]: row["train_seconds"] for row in run.rows
             if row.get("train_seconds") is not None}  # fmt: skip
    if places:
        each = f", {_either(threads)} thread{'' if threads == [1] else 's'} each" if threads else ""
        seconds = f"{sum(cells.values()):,.0f} s"
        took = f", in {seconds} of training in all"
        if run.record.others:  # that no row has: those of tickets that are no arm, say
            took = f"; those of the arms took {seconds} in all"
        took = took if cells else ""
        yield [f"Trainings ran on {' and '.join(sorted(places))}{each}{took}."]
    made = f", with {' or '.join(versions)}" if versions else ""
    by = f", by lottery_ticket; its version {run.version} has analysed them"
    yield [f"They were made in PyTorch{made}", *cite("always", "torch"), by, Cite((SOFTWARE,)),
           "."]  # fmt: skip


def _place(row: Mapping[str, Any]) -> str:
    if row["device"] != "cpu":
        return str(row["device"])
    return f"a CPU ({row['cpu']})" if row.get("cpu") else "a CPU"


def _either(values: Sequence[int]) -> str:
    return " or ".join(map(str, values))
