"""How often a staged run claims what is not so, what it finds, and how many replicates it takes.

python docs/results/staged.py            # simulate (a quarter of an hour), and write the page
python docs/results/staged.py power      # one of them alone: power or false
python docs/results/staged.py --render   # write the page from the committed rates
python docs/results/staged.py --check    # exit 1 if the page says anything else

The runs are those of docs/results/verdict.py (tests/analysis/simulated.py), looked at with 5, 10,
20 and 30 replicates. Every case is simulated 3,000 times; where more than 4.5 % of the runs claim
what is not so, 20,000 fresh runs stand in their place.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests" / "analysis")]

from pages import is_written  # noqa: E402
from simulated import (  # noqa: E402
    LEVELS,
    MARGIN,
    NOISES,
    SD,
    SINGLE,
    SPIKES,
    TWO_NULLS,
    Noise,
    Truth,
    cases,
    simulated,
)
from staged_runs import Rule, staged  # noqa: E402

PAGE = HERE.parent / "verdict.md"
FALSE, POWER = (HERE / f"staged-{name}.csv" for name in ("false", "power"))
NUM_RUNS, NUM_FRESH, BATCH = 3_000, 20_000, 1_000
LOOK_AGAIN = 0.045

CHOSEN = Rule((5, 10, 20, 30), (0.005, 0.010, 0.015, 0.020))
RULES = {
    "1, 2, 3, 4 parts of 5 %": CHOSEN,
    "four equal parts": Rule(CHOSEN.looks, (0.0125,) * 4),
    "most at the end": Rule(CHOSEN.looks, (0.001, 0.004, 0.015, 0.030)),
    "5 % at each look": Rule(CHOSEN.looks, (0.05,) * 4),
    "one look at 10": Rule((10,), (0.05,)),
    "one look at 30": Rule((30,), (0.05,)),
}
# what is to be found: what a ticket gains over reinit, in points, where it equals dense
GAINS = (0.05, 0.07, 0.1, 0.2, 0.4)
LAST = f"all but level {LEVELS} win, and it lies the margin below dense"
TRUTHS = {
    **{f"gains {gain} points over reinit": Truth.of(gains=gain) for gain in GAINS},
    "worse than dense by 0.4 points": Truth.of(loses=-0.4, gains=0.4),
    "equals reinit": TWO_NULLS["ticket equals reinit"],
    "lies the margin below dense": TWO_NULLS["exactly the margin below dense"],
    "all but the last level win, which misses the margin": SINGLE[LAST],
}
SHOWN = [f"gains {gain} points over reinit" for gain in GAINS]


@dataclass(frozen=True)
class Rates:
    """Of many runs: how often any level is claimed; how often one that is no ticket is, at the look
    at which the run ends, and at any; how often the run is decided; the mean number of replicates.
    """

    claimed: float
    false: float
    false_at_any: float
    decided: float
    replicates: float


def rates(rule: Rule, truth: Truth, noise: Noise, num_runs: int, seed: int) -> Rates:
    """What becomes of so many runs."""
    found = []
    for batch in range(num_runs // BATCH):
        n = rule.looks[-1]
        runs = simulated(n, truth, noise, num_runs=BATCH, seed=1000 * seed + batch)
        end = staged(runs, rule)
        false, at_any = (
            (claims & truth.is_false).any(axis=1) for claims in (end.claims, end.at_any)
        )
        parts = (end.claims.any(axis=1), false, at_any, end.is_decided, end.replicates)
        found.append([part.mean() for part in parts])
    return Rates(*np.mean(found, axis=0))


def false_claims() -> Iterator[dict[str, object]]:
    """A row per truth and noise."""
    for truth, noise, what, how in cases():
        found, num_runs = rates(CHOSEN, what, how, NUM_RUNS, seed=3), NUM_RUNS
        if found.false_at_any > LOOK_AGAIN:
            found, num_runs = rates(CHOSEN, what, how, NUM_FRESH, seed=4), NUM_FRESH
        row = {"truth": truth, "noise": noise, "rate": found.false_at_any, "runs": num_runs}
        yield {**row, "ended": found.false, "replicates": found.replicates}


def measured() -> Iterator[dict[str, object]]:
    """A row per rule and truth."""
    for name, rule in RULES.items():
        for truth, what in TRUTHS.items():
            yield {
                "rule": name,
                "truth": truth,
                **vars(rates(rule, what, Noise(), NUM_RUNS, seed=5)),
            }


def section() -> str:
    """The tables between the page's markers."""
    false, power = pd.read_csv(FALSE), pd.read_csv(POWER).set_index(["rule", "truth"])
    single = false[false["truth"].isin(SINGLE)]
    worst = [
        *((name, single[single["noise"] == name]) for name in NOISES),
        ("threefold at one level, which is the one", single[single["noise"].isin(SPIKES)]),
        ("any of these, no level wins", false[~false["truth"].isin(SINGLE)]),
    ]
    first = ["| how trainings vary | at any look | where it ends |", "| --- | ---: | ---: |"]
    for name, rows in worst:
        first.append(
            f"| {name} | {_percent(rows['rate'].max())} | {_percent(rows['ended'].max())} |"
        )
    chosen, once, ten = "1, 2, 3, 4 parts of 5 %", "one look at 30", "one look at 10"
    second = [
        "| every level | four looks | mean n | one look, n = 30 | one look, n = 10 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for truth in SHOWN:
        at = {name: power.loc[(name, truth)] for name in (chosen, once, ten)}
        shares = [_percent(at[name]["claimed"]) for name in (chosen, once, ten)]
        mean = f"{at[chosen]['replicates']:.1f}"
        second.append(f"| {truth} | {shares[0]} | {mean} | {shares[1]} | {shares[2]} |")
    worse = power.loc[(chosen, "worse than dense by 0.4 points")]
    third = [
        "| spent | false | 0.07 points found | mean n | 0.4 points found | mean n |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in list(RULES)[:4]:
        null = power.loc[(name, "all but the last level win, which misses the margin")]
        cells = [_percent(null["false_at_any"])]
        for gain in (0.07, 0.4):
            at = power.loc[(name, f"gains {gain} points over reinit")]
            cells += [_percent(at["claimed"]), f"{at['replicates']:.1f}"]
        third.append(f"| {name} | {' | '.join(cells)} |")
    how = (
        f"{NUM_RUNS:,} runs each of {LEVELS} levels, sd {SD} points between trainings, margin "
        f"{MARGIN}; where more than 4.5 % were false, {NUM_FRESH:,} fresh runs. A run whose every "
        f"level is 0.4 points worse than dense is called *not a ticket* in "
        f"{_percent(worse['decided'])} of runs, after {worse['replicates']:.1f} replicates on "
        "average. Command: `python docs/results/staged.py`. Rates: "
        "[staged-power.csv](results/staged-power.csv), all "
        f"{len(false):,} cases [staged-false.csv](results/staged-false.csv)."
    )
    between = (
        "What a run finds: how often it claims any level, and with how many replicates on average; "
        "at one look α is 5 %:"
    )
    others = (
        "Other ways to spend it. False: all levels win but the last, which misses the margin, and "
        "is claimed at any of the looks."
    )
    parts = ["\n".join(first), between, "\n".join(second), others]
    return "\n\n".join([*parts, "\n".join(third), how]) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def rendered(text: str) -> str:
    """The page with its section made anew."""
    start, end = "<!-- staged -->\n", "<!-- /staged -->"
    pattern = re.escape(start) + ".*?" + re.escape(end)
    if not re.search(pattern, text, re.S):
        raise SystemExit(f"{PAGE.name}: wanted the markers {start.strip()} and {end}")
    return re.sub(pattern, lambda _: f"{start}{section()}{end}", text, flags=re.S)


def main() -> None:
    """Simulate and write, or check."""
    if not {"--render", "--check"} & set(sys.argv):
        parts = {"power": (POWER, measured), "false": (FALSE, false_claims)}
        for name in sys.argv[1:] or parts:
            path, rows = parts[name]
            pd.DataFrame(rows()).to_csv(path, index=False, float_format="%.6g")
    is_written(PAGE, rendered(PAGE.read_text(encoding="utf-8")), __file__)


if __name__ == "__main__":
    main()
