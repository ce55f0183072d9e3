"""How often a verdict is false, and how often one is found: simulated runs, for docs/verdict.md.

python docs/results/verdict.py            # simulate (half an hour), and write what is below
python docs/results/verdict.py classes    # one of them alone: power, false or classes
python docs/results/verdict.py --render   # write page and figure from the committed rates
python docs/results/verdict.py --check    # exit 1 if the page says anything else

The runs are those that the tests hold the rule to: tests/analysis/simulated.py. Every case is
simulated 3,000 times; where more than 4.5 % of the runs claim what is not so, 20,000 fresh runs
stand in their place.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests" / "analysis")]

import staged  # noqa: E402
from pages import is_written  # noqa: E402
from render import read_table  # noqa: E402
from simulated import (  # noqa: E402
    LABELS,
    LEVELS,
    MARGIN,
    MIXED,
    NOISES,
    SD,
    SINGLE,
    SPIKES,
    TWO_NULLS,
    WINNING,
    Noise,
    Runs,
    Truth,
    cases,
    rows_of_answers,
    simulated,
    simulated_answers,
)

from lottery_ticket.analysis import (  # noqa: E402
    Contrast,
    Judgement,
    Spread,
    claimed_levels,
    class_differences,
    contrast_of,
    dense_contrast_of,
    fixed_sequence,
    holm,
    level_labels,
    level_needs,
    pooled_variance,
    spread_of,
    verdict,
)

PAGE = HERE.parent / "verdict.md"
RATES, CASES, BY_CLASS, FIGURE = (
    HERE / f"verdict-{name}" for name in ("power.csv", "false.csv", "classes.csv", "power.png")
)
EXAMPLE = "lenet-mnist"
NS = range(2, 21)
SHOWN = (3, 5, 10, 20)
NUM_RUNS, NUM_FRESH = 3_000, 20_000
LOOK_AGAIN = 0.045
NUM_ANSWERS = 1_000  # runs with answers to single images
SHIFTS = (0.0, 0.01, 0.03)  # of whole classes from training to training
HURT = 0.1  # of one class, to be found
NUM_NEEDS = 20  # runs asked for the replicates they need

Rule = Callable[[np.ndarray], Spread]
Judge = Callable[[Runs], np.ndarray]


def contrasts(runs: Runs, rule: Rule = spread_of) -> tuple[Contrast, Contrast]:
    """Against dense and against reinit."""
    dense = dense_contrast_of(runs.ticket, runs.dense, rule=rule)
    return dense, contrast_of(runs.ticket, runs.reinit, rule=rule)


def winning(runs: Runs) -> np.ndarray:
    """The levels called winning, one by one."""
    return level_labels(Judgement.of(*contrasts(runs), MARGIN)) == "winning"


def claimed(runs: Runs, rule: Rule = spread_of) -> np.ndarray:
    """The levels that a run claims together."""
    dense, reinit = contrasts(runs, rule)
    return claimed_levels(dense.p_above(-MARGIN), reinit.p_above())


# what was not chosen


def own(values: np.ndarray) -> Spread:
    """Each level's own spread."""
    found = spread_of(values)
    return replace(found, variance=found.own, df=found.own_df)


def pooled(values: np.ndarray, width: int = 2) -> Spread:
    """Always pooled with the neighbours."""
    found = spread_of(values)
    windows = [values[..., max(0, i - width) : i + width + 1] for i in range(values.shape[-1])]
    parts = zip(*(pooled_variance(window) for window in windows), strict=True)
    variance, df = (np.stack(part, axis=-1) for part in parts)
    has_none = np.isnan(variance)  # of the zeros that paired differences are compared with
    return replace(
        found, variance=np.where(has_none, found.own, variance), df=np.where(has_none, 1.0, df)
    )


def all_levels(values: np.ndarray) -> Spread:
    """One spread for all levels."""
    return pooled(values, LEVELS)


def larger(values: np.ndarray) -> Spread:
    """The larger of own and pooled, with the degrees of freedom of the pooled one."""
    one, other = own(values), pooled(values)
    return replace(other, variance=np.maximum(one.variance, other.variance))


def paired(runs: Runs) -> np.ndarray:
    """Paired differences to one dense net, with one spread of the neighbours."""
    zero = np.zeros_like(runs.ticket)
    dense = contrast_of(runs.ticket - runs.dense[..., :1], zero, rule=pooled)
    reinit = contrast_of(runs.ticket - runs.reinit, zero, rule=pooled)
    return claimed_levels(dense.p_above(-MARGIN), reinit.p_above())


def sequences(runs: Runs) -> np.ndarray:
    """The same, claimed by two fixed sequences of 4 and 1 %, as in version 0.1."""
    zero = np.zeros_like(runs.ticket)
    dense = contrast_of(runs.ticket - runs.dense[..., :1], zero, rule=pooled)
    reinit = contrast_of(runs.ticket - runs.reinit, zero, rule=pooled)
    superior = fixed_sequence(reinit.p_above()[:, ::-1], 0.01)[:, ::-1]
    return fixed_sequence(dense.p_above(-MARGIN), 0.04) & superior


def one_by_one(runs: Runs) -> np.ndarray:
    """The levels that win one by one, as if they were a claim."""
    return winning(runs)


def with_rule(rule: Rule) -> Judge:
    """`claimed` with another spread."""
    return lambda runs: claimed(runs, rule)


OTHERS: dict[str, Judge] = {
    "each level's own spread": with_rule(own),
    "always pooled with the neighbours": with_rule(pooled),
    "one spread for all levels": with_rule(all_levels),
    "the larger of own and pooled spread": with_rule(larger),
    "paired with one dense net, pooled": paired,
    "two fixed sequences, paired (version 0.1)": sequences,
    "the sparsest that wins by itself": one_by_one,
}
LAST = f"all but level {LEVELS} win, and it lies the margin below dense"
LOOKED_AT = 3  # replicates of a first look, after which more are added
# what the others are measured by: truth and noise
AT = {
    "found": (WINNING, Noise()),
    "equals reinit": (TWO_NULLS["ticket equals reinit"], Noise()),
    "doubling": (SINGLE[LAST], NOISES["doubles towards sparse"]),
    "threefold": (SINGLE[LAST], SPIKES[f"threefold at level {LEVELS}"]),
}


def of_a_run(judge: Judge, runs: Runs) -> float:
    """How often a run claims any level: one that is not winning, if any is not."""
    false = runs.truth.is_false
    return float((judge(runs) & (false if false.any() else True)).any(axis=1).mean())


def of_two_looks(runs: Runs) -> float:
    """How often a false level is claimed after the first replicates, or else after all of them."""
    first = (part[:, :LOOKED_AT] for part in (runs.ticket, runs.reinit, runs.dense))
    claims = claimed(Runs(*first, runs.truth)) | claimed(runs)
    return float((claims & runs.truth.is_false).any(axis=1).mean())


def of_a_level(runs: Runs) -> float:
    """How often a level is called winning by itself: one that is not, if any is not."""
    false = runs.truth.is_false
    return float(winning(runs)[:, false if false.any() else slice(None)].mean())


def false_claims() -> Iterator[dict[str, object]]:
    """A row per truth, noise and number of replicates."""
    for truth, noise, what, how in cases():
        for n in SHOWN:
            rate, num_runs = _rate(n, what, how, NUM_RUNS, seed=0), NUM_RUNS
            if rate > LOOK_AGAIN:
                rate, num_runs = _rate(n, what, how, NUM_FRESH, seed=1), NUM_FRESH
            yield {"truth": truth, "noise": noise, "n": n, "rate": rate, "runs": num_runs}


def _rate(n: int, truth: Truth, noise: Noise, num_runs: int, seed: int) -> float:
    return of_a_run(claimed, simulated(n, truth, noise, num_runs=num_runs, seed=seed))


def asked(n: int) -> list[int]:
    """How many replicates levels ask for that are open with n."""
    runs = simulated(n, WINNING, num_runs=NUM_NEEDS, seed=2)
    needs = [
        need
        for ticket, reinit, dense in zip(runs.ticket, runs.reinit, runs.dense, strict=True)
        for need in level_needs(
            dense_contrast_of(ticket, dense), contrast_of(ticket, reinit), MARGIN
        )
    ]
    return [need for need in needs if need is not None]


def measured() -> Iterator[dict[str, object]]:
    """A row per quantity and number of replicates."""
    for n in NS:
        found = simulated(n, WINNING, num_runs=NUM_RUNS)
        yield {"quantity": "level found", "n": n, "value": of_a_level(found)}
        yield {"quantity": "run found", "n": n, "value": of_a_run(claimed, found)}
        for name, truth in {**TWO_NULLS, "mixed": MIXED}.items():
            runs = simulated(n, truth, num_runs=NUM_RUNS)
            yield {"quantity": f"level, {name}", "n": n, "value": of_a_level(runs)}
            yield {"quantity": f"run, {name}", "n": n, "value": of_a_run(claimed, runs)}
        needs = asked(n)
        if n >= LOOKED_AT:
            last = simulated(n, SINGLE[LAST], num_runs=NUM_RUNS)
            yield {"quantity": "run, looked at before", "n": n, "value": of_two_looks(last)}
        if needs:
            yield {"quantity": "replicates asked for", "n": n, "value": float(np.median(needs))}
    for n in SHOWN:
        for where, (truth, noise) in AT.items():
            runs = simulated(n, truth, noise, num_runs=NUM_RUNS)
            for name, judge in OTHERS.items():
                yield {"quantity": f"{name}: {where}", "n": n, "value": of_a_run(judge, runs)}


def by_class(nets: list[np.ndarray]) -> np.ndarray:
    """The classes that are called unlike the others."""
    found = class_differences(rows_of_answers(*nets), LABELS, level=2, density=0.5)
    return found.table["is_beyond_chance"].to_numpy()


def over_images(nets: list[np.ndarray]) -> np.ndarray:
    """The same with the trained nets held fixed."""
    ticket, *dense = (net.mean(axis=0) for net in nets)
    images, classes = ticket - np.mean(dense, axis=0), np.unique(LABELS)
    p = [stats.ttest_ind(images[c == LABELS], images[c != LABELS]).pvalue for c in classes]
    return holm(np.array(p))


def over_replicates(nets: list[np.ndarray]) -> np.ndarray:
    """The same with the images held fixed: a t test over the means of replicates."""
    ticket, *dense = nets
    of = [(ticket - np.mean(dense, axis=0))[:, c == LABELS] for c in np.unique(LABELS)]
    means = np.array([part.mean(axis=1) for part in of])
    others = (means.sum(axis=0) - means) / (len(means) - 1)
    return holm(stats.ttest_1samp(means - others, 0, axis=1).pvalue)


CLASS_RULES = {"as chosen": by_class, "nets held fixed": over_images,
               "images held fixed": over_replicates}  # fmt: skip


def answered() -> Iterator[dict[str, object]]:
    """How often a class is called unlike the others: any, where none is; the one that is."""
    for n in SHOWN[:3]:
        for shift in SHIFTS:
            runs = [simulated_answers(i, shift=shift, n=n) for i in range(NUM_ANSWERS)]
            hurt = [simulated_answers(i, shift=shift, n=n, hurt=HURT) for i in range(NUM_ANSWERS)]
            for name, rule in CLASS_RULES.items():
                false = np.mean([rule(nets).any() for nets in runs])
                found = np.mean([rule(nets)[3] for nets in hurt])
                yield {"rule": name, "n": n, "shift": shift, "false": false, "found": found}


def _line(text: str, values: list[float]) -> str:
    return f"| {text} | {' | '.join(f'{100 * value:.1f} %' for value in values)} |"


def _table(head: str, rows: list[str]) -> str:
    header = f"| {head} | {' | '.join(f'n = {n}' for n in SHOWN)} |"
    return "\n".join([header, "| --- |" + " ---: |" * len(SHOWN), *rows])


def section() -> str:
    """The tables between the page's markers."""
    rates = pd.read_csv(RATES).set_index(["quantity", "n"])["value"]
    false = pd.read_csv(CASES)

    def shown(text: str, name: str) -> str:
        return _line(text, [rates[name, n] for n in SHOWN])

    first = [
        shown("a winning level is called winning", "level found"),
        shown("its run claims one", "run found"),
        shown("false, ticket equals reinit: a level", "level, ticket equals reinit"),
        shown("false, ticket equals reinit: the run's claim", "run, ticket equals reinit"),
        shown("false, the margin below dense: a level", "level, exactly the margin below dense"),
        shown("false, the margin below dense: the run's claim",
              "run, exactly the margin below dense"),
        shown("false, dense levels equal reinit and sparse ones miss the margin", "run, mixed"),
    ]  # fmt: skip
    single = false[false["truth"].isin(SINGLE)]
    looks = shown(f"flat, but looked at with {LOOKED_AT} before", "run, looked at before")
    second = [_worst(name, single, [name]) for name in NOISES]
    second.insert(1, looks)
    second.append(_worst("threefold at one level, which is the one", single, list(SPIKES)))
    third = [
        _line(f"{name}: {words}", [rates[f"{name}: {where}", n] for n in SHOWN])
        for name, where, words in (
            ("each level's own spread", "found", "a run claims what is there"),
            ("always pooled with the neighbours", "threefold", "threefold spread at the one level"),
            ("one spread for all levels", "doubling", "the last level, spread doubles"),
            (
                "the larger of own and pooled spread",
                "threefold",
                "threefold spread at the one level",
            ),
            ("paired with one dense net, pooled", "found", "a run claims what is there"),
            ("paired with one dense net, pooled", "threefold", "threefold spread at the one level"),
            ("two fixed sequences, paired (version 0.1)", "found", "a run claims what is there"),
            ("the sparsest that wins by itself", "equals reinit", "ticket equals reinit"),
        )
    ]
    needs = int(rates["replicates asked for", 5])
    how = (
        f"{NUM_RUNS:,} runs each of {LEVELS} levels, sd {SD} points between trainings, margin "
        f"{MARGIN}; a winning level loses nothing against dense and gains 0.4 points over reinit. "
        f"Where more than 4.5 % were false, {NUM_FRESH:,} fresh runs. Open levels of runs with 5 "
        f"replicates ask for {needs} (median). Command: `python docs/results/verdict.py`. Rates: "
        "[verdict-power.csv](results/verdict-power.csv), all "
        f"{len(false):,} cases [verdict-false.csv](results/verdict-false.csv)."
    )
    between = (
        "The hardest case for a run's claim: every level wins clearly but one, which lies exactly "
        "on a bound, so that nothing but its own test is in the way. The worst of level 1, 11 and "
        "20, and of both bounds:"
    )
    parts = [
        _table("simulated runs", first),
        between,
        _table("how trainings vary", second),
        "What was not chosen, and why:",
        _table("simulated runs", third),
        how,
    ]
    return "\n\n".join(parts) + "\n"


def classes() -> str:
    """The table of rules for classes, between the page's markers."""
    rates = pd.read_csv(BY_CLASS).set_index(["rule", "n", "shift"])
    ns = SHOWN[:3]
    head = [f"n = {n}" for n in ns]
    lines = [f"| classes shift by | rule | {' | '.join(head)} |", "| ---: | --- |" + " ---: |" * 3]
    for shift in SHIFTS:
        for name in CLASS_RULES:
            cells = [
                f"{100 * rates.loc[(name, n, shift), 'false']:.1f} % "
                f"({100 * rates.loc[(name, n, shift), 'found']:.0f} %)"
                for n in ns
            ]
            lines.append(f"| {100 * shift:g} points | {name} | {' | '.join(cells)} |")
    how = (
        f"{NUM_ANSWERS:,} runs each of {len(np.unique(LABELS))} classes of "
        f"{int((LABELS == 0).sum())} images: how often any class is called unlike the others where "
        f"none is, and in brackets how often one is found that loses {100 * HURT:g} points. "
        "Command: `python docs/results/verdict.py classes`."
    )
    return "\n".join(lines) + f"\n\n{how}\n"


def _worst(text: str, false: pd.DataFrame, noises: list[str]) -> str:
    rows = false[false["noise"].isin(noises)]
    return _line(text, [float(rows.loc[rows["n"] == n, "rate"].max()) for n in SHOWN])


def example() -> str:
    """The verdict of the committed table of lenet-mnist."""
    found = verdict(read_table(EXAMPLE), about={"model": "LeNet300"})
    return f"```text\n$ lottery verdict {EXAMPLE}\n{found}\n```\n"


def rendered(text: str) -> str:
    """The page with its sections made anew."""
    sections = {"example": example, "simulated": section, "classes": classes}
    for name, made in (sections | {"staged": staged.section}).items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        pattern = re.escape(start) + ".*?" + re.escape(end)
        if not re.search(pattern, text, re.S):
            raise SystemExit(f"{PAGE.name}: wanted the markers {start.strip()} and {end}")
        shown = f"{start}{made()}{end}"
        text = re.sub(pattern, lambda _, shown=shown: shown, text, flags=re.S)
    return text


def draw() -> None:
    """The power curve, with what is false beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rates = pd.read_csv(RATES).pivot(index="n", columns="quantity", values="value")
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    ax.grid(True, color="#e6e6e6", linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)
    lines = {
        "level found": ("a winning level is called winning", "#0072B2", "o", "-"),
        "run found": ("its run claims one", "#009E73", "^", "-"),
        "two fixed sequences, paired (version 0.1): found": (
            "…as version 0.1 did", "#009E73", "", ":"),
        "run, exactly the margin below dense": (
            "false: the margin below dense", "#D55E00", "s", "-"),
        "run, ticket equals reinit": ("false: equals reinit", "#CC79A7", "D", "-"),
        "run, mixed": ("false: mixed", "#555555", "v", "-"),
    }  # fmt: skip
    for name, (label, color, marker, style) in lines.items():
        known = rates[name].dropna()
        ax.plot(known.index, 100 * known, label=label, color=color, marker=marker,
                linestyle=style, markersize=4.5, linewidth=1.5)  # fmt: skip
    ax.axhline(5, color="#555555", linewidth=1, linestyle="--")
    ax.annotate("5 %", (20.2, 5.5), color="#555555", fontsize=9, va="bottom", ha="right")
    ax.set_xticks(list(NS)[::2])
    ax.set_ylim(0, 101)
    ax.set_xlabel("replicates")
    ax.set_ylabel(f"share of {NUM_RUNS:,} simulated runs (%)")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9.5)
    figure.savefig(FIGURE, dpi=150)


def main() -> None:
    """Simulate and write, or check."""
    if not {"--render", "--check"} & set(sys.argv):
        parts = {"power": (RATES, measured), "false": (CASES, false_claims),
                 "classes": (BY_CLASS, answered)}  # fmt: skip
        for name in sys.argv[1:] or parts:
            path, rows = parts[name]
            pd.DataFrame(rows()).to_csv(path, index=False, float_format="%.6g")
    if is_written(PAGE, rendered(PAGE.read_text(encoding="utf-8")), __file__):
        draw()


if __name__ == "__main__":
    main()
