"""A verdict at a glance is the verdict."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery_ticket.analysis import as_table, glance, stated_claim, verdict
from lottery_ticket.errors import UsageError
from lottery_ticket.store import RunClaim

ARMS = ["ticket", "reinit", "random"]
NUM_KEPT = [1000, 600, 300, 90]


def row(arm: str, level: int, replicate: int, draw: int, value: float | None, column: str) -> dict:
    own = {"metric": "f1", "higher_is_better": True} if column == "test_metric" else {}
    density = NUM_KEPT[level] / 1000
    return {
        "run": "r", "arm": arm, "level": level, "replicate": replicate, "draw": draw,
        "density": density, "sparsity": 1 - density, "num_kept": NUM_KEPT[level],
        "num_prunable": 1000, "num_test": 10_000, "num_steps": 100, column: value, **own,
    }  # fmt: skip


@st.composite
def tables(draw):
    """Rows of a run: means far apart or near, some trainings missing, some draws of controls."""
    column = draw(st.sampled_from(["test_accuracy", "test_loss", "test_metric"]))
    replicates, levels = draw(st.integers(1, 4)), draw(st.integers(1, len(NUM_KEPT)))
    arms = ARMS[: draw(st.integers(1, 3))]
    shift = {arm: draw(st.lists(st.sampled_from([0.0, 0.001, -0.03, 0.03]), min_size=4, max_size=4))
             for arm in arms}  # fmt: skip
    noise = st.floats(-0.003, 0.003)
    rows = []
    for arm in arms:
        for level in range(levels):
            for replicate in range(replicates):
                for each in range(draw(st.integers(1, 2)) if arm != "ticket" else 1):
                    value = 0.9 + shift[arm][level] + draw(noise)
                    if draw(st.integers(0, 9)):
                        rows.append(row(arm, level, replicate, each, value, column))
    return rows


def check_glance(rows, margin=None, claim=None, change=lambda rows: rows) -> None:
    """It says what the verdict says, and nothing where there is no verdict."""
    table, found = as_table(rows), glance(change(rows), margin=margin, claim=claim)
    try:
        stated = None if claim is None else stated_claim(claim, margin, default_of(rows))
        wanted = verdict(table, margin=margin, claim=stated)
    except UsageError:
        assert found.verdict is None
        return
    density: dict[int | None, float] = {one.level: one.density for one in wanted.levels}
    assert found.verdict == wanted.label
    assert found.metric == wanted.metric
    of_levels = [wanted.level, wanted.matching_level, wanted.levels[-1].level]
    got = [found.winning_density, found.matching_density, found.sparsest_density]
    assert got == pytest.approx([density.get(level) for level in of_levels])
    means = wanted.arms.loc[wanted.arms["arm"] == "ticket"].set_index("level")["mean"]
    assert found.dense == pytest.approx(wanted.dense)
    assert found.sparsest == pytest.approx(means[wanted.levels[-1].level])


def default_of(rows) -> float:
    return 0.2 if "test_accuracy" in rows[0] else 5.0


@settings(max_examples=60)
@given(rows=tables(), margin=st.sampled_from([None, 0.5, 3.0]))
def test_a_glance_says_what_the_verdict_says(rows, margin):
    check_glance(rows, margin)


@settings(max_examples=30)
@given(rows=tables(), margin=st.sampled_from([None, 3.0]), num_trained=st.integers(0, 1))
def test_of_a_run_that_is_about_one_level_too(rows, margin, num_trained):
    if rows:
        check_glance(rows, margin, RunClaim(1, num_trained, margin))


WINS = [
    row(arm, level, replicate, 0, mean + (replicate - 1) * 0.0004, "test_accuracy")
    for arm, means in {
        "ticket": [0.98, 0.981, 0.98, 0.9],
        "reinit": [0.98, 0.97, 0.95, 0.8],
    }.items()
    for level, mean in enumerate(means)
    for replicate in range(3)
]


def test_a_winning_ticket_is_seen():
    found = glance(WINS)
    assert found.verdict == "winning"
    assert (found.winning_density, found.sparsest_density) == (0.3, 0.09)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [each for each in rows if each["arm"] == "ticket"],
        lambda rows: [each for each in rows if each["level"] < 2],
        lambda rows: [{**each, "test_accuracy": 1 - each["test_accuracy"]} for each in rows],
        lambda rows: [each for each in rows if each["replicate"] == 0],
    ],
)
def test_a_glance_at_less_or_at_something_else_is_caught(change):
    check_glance(WINS)
    with pytest.raises(AssertionError):
        check_glance(WINS, change=change)
