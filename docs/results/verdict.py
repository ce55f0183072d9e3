"""How often a verdict is false, and how often one is found: simulated runs, for docs/verdict.md.

python docs/results/verdict.py            # simulate (minutes), and write what is below
python docs/results/verdict.py --render   # write page and figure from the committed rates
python docs/results/verdict.py --check    # exit 1 if the page says anything else

The runs are those that the tests hold the rule to: tests/analysis/simulated.py.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests" / "analysis")]

from pages import is_written  # noqa: E402
from render import read_table  # noqa: E402
from simulated import (  # noqa: E402
    CHAINED,
    JUMPING,
    LEVELS,
    MARGIN,
    MIXED,
    SD,
    SPREADING,
    TWO_NULLS,
    Runs,
    simulated,
)

from lottery_ticket.analysis import (  # noqa: E402
    ALPHA,
    Contrast,
    Judgement,
    claimed_levels,
    contrast_of,
    fixed_sequence,
    level_labels,
    level_needs,
    verdict,
)

PAGE = HERE.parent / "verdict.md"
RATES, FIGURE = (HERE / f"verdict-power.{kind}" for kind in ("csv", "png"))
EXAMPLE = "lenet-mnist"
NS = range(2, 21)
SHOWN = (3, 5, 10, 20)
FOUND = {"gains": 0.4}
NUM_NEEDS = 20  # runs asked for the replicates they need

Judge = Callable[[Runs], np.ndarray]


def contrasts(runs: Runs) -> tuple[Contrast, Contrast]:
    """Against dense and against reinit."""
    return contrast_of(runs.dense), contrast_of(runs.reinit)


def winning(runs: Runs) -> np.ndarray:
    """The levels called winning, one by one."""
    return level_labels(Judgement.of(*contrasts(runs), MARGIN)) == "winning"


def claimed(runs: Runs) -> np.ndarray:
    """The levels that a run claims together."""
    dense, reinit = contrasts(runs)
    return claimed_levels(dense.p_above(-MARGIN), reinit.p_above())


def with_one_spread(runs: Runs) -> np.ndarray:
    """As `winning`, with one spread for all levels."""
    found = []
    for contrast in contrasts(runs):
        sd = np.sqrt((contrast.sd**2).mean(axis=-1, keepdims=True))
        df = np.full_like(contrast.mean, (runs.dense.shape[1] - 1) * LEVELS)
        spread = np.broadcast_to(sd, contrast.mean.shape)
        found.append(Contrast(contrast.mean, contrast.sd, contrast.n, spread, df))
    return level_labels(Judgement.of(found[0], found[1], MARGIN)) == "winning"


def with_own_spread(runs: Runs) -> np.ndarray:
    """As `winning`, with each level's own spread."""
    found = [
        Contrast(c.mean, c.sd, c.n, c.sd, np.full_like(c.mean, runs.dense.shape[1] - 1.0))
        for c in contrasts(runs)
    ]
    return level_labels(Judgement.of(found[0], found[1], MARGIN)) == "winning"


def five_per_cent_each(runs: Runs) -> np.ndarray:
    """As `claimed`, with 5 % in each of the two sequences."""
    dense, reinit = contrasts(runs)
    superior = fixed_sequence(reinit.p_above()[:, ::-1], ALPHA)[:, ::-1]
    return fixed_sequence(dense.p_above(-MARGIN), ALPHA) & superior


def of_a_level(rule: Judge, runs: Runs) -> float:
    """How often a level is called winning: one that is not, if any is not."""
    where = runs.is_false if runs.is_false.any() else np.ones(LEVELS, bool)
    return float(rule(runs)[:, where].mean())


def of_the_sparsest(rule: Judge, runs: Runs) -> float:
    """The same of the four sparsest levels."""
    return float(rule(runs)[:, -4:].mean())


def of_the_worst(rule: Judge, runs: Runs) -> float:
    """How often the level is falsely called winning where that happens most often."""
    return float(rule(runs)[:, runs.is_false].mean(axis=0).max())


def of_a_run(rule: Judge, runs: Runs) -> float:
    """How often a run claims any level: one that is not winning, if any is not."""
    where = runs.is_false if runs.is_false.any() else np.ones(LEVELS, bool)
    return float((rule(runs) & where).any(axis=1).mean())


EQUAL, AT_MARGIN = TWO_NULLS
# name → how it is counted, the rule, what is true
QUANTITIES: dict[str, tuple[Callable[[Judge, Runs], float], Judge, dict]] = {
    "level found": (of_a_level, winning, FOUND),
    "run found": (of_a_run, claimed, FOUND),
    "level, equals reinit": (of_a_level, winning, TWO_NULLS[EQUAL]),
    "level, at the margin": (of_a_level, winning, TWO_NULLS[AT_MARGIN]),
    "run, equals reinit": (of_a_run, claimed, TWO_NULLS[EQUAL]),
    "run, at the margin": (of_a_run, claimed, TWO_NULLS[AT_MARGIN]),
    "run, mixed": (of_a_run, claimed, MIXED),
    "sparsest, growing spread": (of_the_sparsest, winning, TWO_NULLS[AT_MARGIN] | SPREADING),
    "worst level, spread triples at once": (
        of_the_worst, winning, TWO_NULLS[AT_MARGIN] | JUMPING,
    ),
    "worst level, correlated": (of_the_worst, winning, TWO_NULLS[AT_MARGIN] | CHAINED),
    "own spread: level found": (of_a_level, with_own_spread, FOUND),
    "one spread: sparsest, growing spread": (
        of_the_sparsest, with_one_spread, TWO_NULLS[AT_MARGIN] | SPREADING,
    ),
    "5 % each: run, mixed": (of_a_run, five_per_cent_each, MIXED),
    "one by one: run, equals reinit": (of_a_run, winning, TWO_NULLS[EQUAL]),
}  # fmt: skip


def asked(n: int) -> list[int]:
    """How many replicates levels ask for that are open with n."""
    runs = simulated(n, num_runs=NUM_NEEDS, seed=2, **FOUND)
    needs = [
        need
        for dense, reinit in zip(runs.dense, runs.reinit, strict=True)
        for need in level_needs(contrast_of(dense), contrast_of(reinit), MARGIN)
    ]
    return [need for need in needs if need is not None]


def measured() -> Iterator[dict[str, object]]:
    """A row per quantity and number of replicates."""
    for n in NS:
        for name, (count, rule, truth) in QUANTITIES.items():
            yield {"quantity": name, "n": n, "value": count(rule, simulated(n, **truth))}
        needs = asked(n)
        if needs:
            yield {"quantity": "replicates asked for", "n": n, "value": float(np.median(needs))}


def section() -> str:
    """The tables between the page's markers."""
    rates = pd.read_csv(RATES).set_index(["quantity", "n"])["value"]

    def line(text: str, name: str) -> str:
        cells = [f"{100 * rates[name, n]:.1f} %" for n in SHOWN]
        return f"| {text} | {' | '.join(cells)} |"

    header = f"| simulated runs | {' | '.join(f'n = {n}' for n in SHOWN)} |"
    rule = "| --- |" + " ---: |" * len(SHOWN)
    first = [
        line("a winning level is called winning", "level found"),
        line("its run claims one", "run found"),
        line("false, ticket equals reinit: a level", "level, equals reinit"),
        line("false, ticket equals reinit: the run's claim", "run, equals reinit"),
        line("false, exactly the margin below dense: a level", "level, at the margin"),
        line("false, exactly the margin below dense: the run's claim", "run, at the margin"),
        line("false, dense levels equal reinit and sparse ones miss the margin", "run, mixed"),
        line("false, spread doubles towards sparse: the four sparsest", "sparsest, growing spread"),
        line(
            "false, spread triples from one level to the next: the worst level",
            "worst level, spread triples at once",
        ),
        line(
            "false, each training correlated by 0.7 with the one before: the worst level",
            "worst level, correlated",
        ),
    ]
    second = [
        line("one spread for all levels: the four sparsest, spread doubles",
             "one spread: sparsest, growing spread"),
        line("each level's own spread: a winning level is called winning",
             "own spread: level found"),
        line("5 % in each sequence: dense equal reinit, sparse miss the margin",
             "5 % each: run, mixed"),
        line("the sparsest of the levels that win one by one: ticket equals reinit",
             "one by one: run, equals reinit"),
    ]  # fmt: skip
    needs = int(rates["replicates asked for", 5])
    how = (
        f"2,000 runs each of {LEVELS} levels, sd {SD} points between trainings, margin {MARGIN}; a "
        "winning level loses nothing against dense and gains 0.4 points over reinit. Open levels "
        f"of runs with 5 replicates ask for {needs} (median). Command: `python "
        "docs/results/verdict.py`. Rates: [verdict-power.csv](results/verdict-power.csv)."
    )
    others = "What was not chosen, and why:"
    tables = [[header, rule, *first], [others], [header, rule, *second], [how]]
    return "\n\n".join("\n".join(lines) for lines in tables) + "\n"


def example() -> str:
    """The verdict of the committed table of lenet-mnist."""
    found = verdict(read_table(EXAMPLE), about={"model": "LeNet300"})
    return f"```text\n$ lottery verdict {EXAMPLE}\n{found}\n```\n"


def rendered(text: str) -> str:
    """The page with its sections made anew."""
    for name, made in (("example", example), ("simulated", section)):
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
        "own spread: level found": ("…from its own spread alone", "#0072B2", "", ":"),
        "run found": ("its run claims one", "#009E73", "^", "-"),
        "level, at the margin": ("false: the margin below dense", "#D55E00", "s", "-"),
        "level, equals reinit": ("false: equals reinit", "#CC79A7", "D", "-"),
        "run, mixed": ("false: claim of a run, mixed", "#555555", "v", "-"),
    }
    for name, (label, color, marker, style) in lines.items():
        ax.plot(rates.index, 100 * rates[name], label=label, color=color, marker=marker,
                linestyle=style, markersize=4.5, linewidth=1.5)  # fmt: skip
    ax.axhline(6.5, color="#555555", linewidth=1, linestyle="--")
    ax.annotate("6.5 %", (20.2, 7), color="#555555", fontsize=9, va="bottom", ha="right")
    needs = rates["replicates asked for"][5]
    ax.axvline(needs, color="#555555", linewidth=1, linestyle="--")
    ax.annotate(f"open levels at n = 5\nask for {needs:.0f} (median)", (needs + 0.2, 22),
                color="#555555", fontsize=9)  # fmt: skip
    ax.set_xticks(list(NS)[::2])
    ax.set_ylim(0, 101)
    ax.set_xlabel("replicates")
    ax.set_ylabel("share of 2,000 simulated runs (%)")
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize=9.5)
    figure.savefig(FIGURE, dpi=150)


def main() -> None:
    """Simulate and write, or check."""
    if not {"--render", "--check"} & set(sys.argv):
        pd.DataFrame(measured()).to_csv(RATES, index=False, float_format="%.6g")
    if is_written(PAGE, rendered(PAGE.read_text(encoding="utf-8")), __file__):
        draw()


if __name__ == "__main__":
    main()
