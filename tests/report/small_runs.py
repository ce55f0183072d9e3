"""A run's tables without a run: values by formula, so that a page has something to show."""

import numpy as np
import pandas as pd

from lottery_ticket.analysis import (
    RunTables,
    as_table,
    class_differences,
    stability_of,
    verdict,
)
from lottery_ticket.report import ReportRun, RunFacts, content_of

HOSTILE = "</script><script>alert('x')</script>\"><img src=x onerror=alert(1)> & <b>"
LAYERS = {"fc1.weight": 50, "fc2.weight": 10}
NUM_LEVELS = 4
FACTS = RunFacts({"run": "tiny-1"}, "name: tiny\n", "lottery run tiny.yaml", "20ep")


def accuracy(arm, level, replicate):
    """The ticket holds, reinit falls; replicates differ a little, and not alike in all arms."""
    fall = {"ticket": 0.0002, "reinit": 0.02}.get(arm, 0.01)
    noise = (level + (2 if arm == "reinit" else 1) * replicate) % 3
    return 0.9 - fall * level + 0.0005 * replicate + 0.0002 * noise


def places(arms, replicates, levels=NUM_LEVELS):
    return [(a, level, r) for a in arms for level in range(levels) for r in range(replicates)]


def result_table(arms=("ticket", "reinit"), replicates=3, *, levels=NUM_LEVELS, regression=False):
    return as_table(
        [
            {
                "run": "tiny-1",
                "arm": arm,
                "level": level,
                "replicate": replicate,
                "draw": 0,
                "density": 0.5**level,
                "sparsity": 1 - 0.5**level,
                "num_kept": round(1024 * 0.5**level),
                "num_prunable": 1024,
                "num_test": 10_000,
                "test_accuracy": None if regression else accuracy(arm, level, replicate),
                "test_loss": 1 - accuracy(arm, level, replicate),
                "early_stop_step": 10 + level,
                "is_still_falling": level == 3,
                "test_accuracy_at_early_stop": None if regression else 0.8,
                "num_steps": 20,
                "train_seconds": 2.0,
            }
            for arm, level, replicate in places(arms, replicates, levels)
        ]
    )


def small_tables(arms=("ticket", "reinit"), replicates=3, layers=LAYERS, **options):
    """Every table of a run with these arms and layers."""
    rows = [
        {"arm": arm, "level": level, "replicate": replicate, "draw": 0}
        for arm, level, replicate in places(arms, replicates)
    ]
    lead = [row for row in rows if row["arm"] == arms[0]]
    history = [
        {**row, "step": step, "test_accuracy": accuracy(*list(row.values())[:3]) - 0.1 / step}
        for row in rows
        for step in (1, 10, 20)
    ]
    by_layer = [
        {**row, "layer": name, "num_kept": round(size * 0.5 ** row["level"]), "num_prunable": size}
        for row in lead
        for name, size in layers.items()
    ]
    overlap = [
        {"level": level, "replicate": 0, "replicate_other": 1, "layer": layer}
        | {"num_kept": 8, "num_prunable": 2 * 8 * level, "share": 0.6 / level}
        | {"expected_share": 0.5 / level}
        for level in range(1, NUM_LEVELS)
        for layer in (*layers, "all")
    ]
    inputs = [
        {**row, "input": pixel, "num_kept": kept, "num_prunable": 2, "density": kept / 2}
        for row in lead
        for pixel in range(25)
        for kept in [2 if row["level"] == 0 else int(pixel < 25 - 5 * row["level"])]
    ]
    effective = [
        {**row, "layer": "all", "num_kept": 8, "num_effective": 7, "effective_density": 0.25}
        for row in lead
    ]
    kept_weights = [
        {**row, "layer": "all", "sign_kept": 0.9, "magnitude_correlation": 0.3} for row in rows
    ]
    return RunTables(
        result_table(arms, replicates, **options),
        *map(pd.DataFrame, (by_layer, history, overlap, inputs, effective, kept_weights)),
    )


def small_classes(names=("ant", "bee", "cat")):
    """The ticket of level 2 by class: it loses a third of the last one, and nothing else."""
    of = np.repeat(np.arange(len(names)), 30)
    wrong = (of == len(names) - 1) & (np.arange(of.size) % 3 == 0)
    rows = [
        {"arm": "ticket", "level": level, "replicate": r, "draw": 0}
        | {"correct": ~wrong if level else np.ones(of.size, bool)}
        for level in (0, 2)
        for r in range(3)
    ]
    return class_differences(rows, of, level=2, density=0.25, names=names)


def small_stability(steps=(0, 100), arms=("ticket", "random"), *, norms=False, metric="error"):
    """Lines between copies of three replicates: the later they part and the denser they are, the
    lower; random masks are never stable. The dense nets are the first arm's."""
    ways = {"interpolated": 3.0 if norms else 1.0, **({"refitted": 1.0} if norms else {})}
    measured = {}
    for step in steps:
        rows = []
        for arm, level, replicate in places(arms, 3):
            height = 0.01 * level + 0.005 * replicate if step == 0 else 0.001 * (level + replicate)
            height += 0.09 if arm == "random" else 0.0
            place = {"arm": arm, "level": level, "replicate": replicate, "density": 0.5**level}
            place |= {"cell": f"{step} {arm} {level} {replicate}"}
            rows += [
                {**place, "metric": m, "split": split, "statistics": way, "alpha": alpha}
                | {"value": 0.02 + factor * height * (alpha == 0.5)}
                for way, factor in ways.items()
                for split in ("test", "train")
                for m in {"loss", metric}
                for alpha in (0.0, 0.5, 1.0)
                if level or arm == arms[0]
            ]
        measured[step] = f"{step}it", f"tiny-{step}", pd.DataFrame(rows)
    return stability_of(measured)


def small_content(title="tiny-1, Net", facts=FACTS, classes=None, stability=None, **options):
    """What a report says of such a run."""
    tables = small_tables(**options)
    classes = classes or small_classes()
    return content_of(ReportRun(title, tables, verdict(tables.table), facts, classes, stability))


def hostile_content():
    """A run whose every name is an attack."""
    tables = small_tables(("ticket", "reinit", HOSTILE), layers={HOSTILE: 40, "fc": 8})
    facts = RunFacts({"model": HOSTILE}, HOSTILE, HOSTILE)
    classes, stability = small_classes((HOSTILE, "bee")), small_stability(arms=("ticket", HOSTILE))
    found = verdict(tables.table)
    return content_of(ReportRun(HOSTILE, tables, found, facts, classes, stability))
