import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

from lottery_ticket import analysis, charts, plots, report
from lottery_ticket.charts import (
    fit_limits,
    num_replicates,
    percent_label,
    pick_levels,
    style_arms,
)
from lottery_ticket.plots._render import spread_ticks

WITH_EXAMPLES = ("_chart", "_inputs", "_levels", "_limits", "_text")


@pytest.mark.parametrize("module", [import_module(f"{charts.__name__}.{n}") for n in WITH_EXAMPLES])
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_ticks_are_densities_few_and_apart():
    percents = [100 * 0.8**level for level in range(21)]
    ticks = spread_ticks(percents)
    assert [percent_label(tick) for tick in ticks] == [
        *("100", "51.2", "26.2", "13.4", "6.87", "3.52", "1.8")
    ]
    assert spread_ticks([50.0, 50.0001, 49.9999]) == [50.0001]


def test_limits_show_everything_unless_a_few_collapse():
    low, high = fit_limits([98, 96, 94, 92], higher_is_better=True)
    assert low < 92
    assert high > 98
    low, high = fit_limits([0.1, 0.11, 0.12, 0.13, 9.0], higher_is_better=False)
    assert (low, high) == pytest.approx((0.09, 0.27))


def test_limits_of_one_value_and_of_none():
    assert fit_limits([50.0], higher_is_better=True) == (49.5, 50.5)
    assert fit_limits([0.0], higher_is_better=False) == (-1.0, 1.0)
    assert fit_limits([float("nan")], higher_is_better=True) is None


def test_levels_are_picked_evenly_with_both_ends():
    assert pick_levels([3, 1, 0, 1]) == [0, 1, 3]
    assert pick_levels(list(range(13))) == [0, 2, 5, 7, 10, 12]


def test_counts_of_replicates_in_words():
    assert num_replicates([3, 3]) == "n = 3 replicates"
    assert num_replicates([1]) == "n = 1 replicate"
    assert num_replicates([3, 1]) == "n = 1–3 replicates"


def test_unknown_arms_get_styles_of_their_own():
    styles = style_arms(["mine", "ticket", "yours"])
    assert list(styles) == ["ticket", "mine", "yours"]
    assert len({style.color for style in styles.values()}) == 3
    assert len({style.marker for style in styles.values()}) == 3


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        (analysis, "torch|pyplot"),
        (plots, "torch|pyplot"),
        (charts, "torch|matplotlib"),  # plain values, whoever draws them
        (report, "torch|matplotlib"),
    ],
)
def test_what_a_room_does_without_is_not_imported(package, unwanted):
    whole = Path(package.__file__).parent.rglob("*.py")
    sources = [source for source in whole if source.parent.name != "structure"]  # of masks
    assert len(sources) > 4
    for source in sources:
        text = source.read_text("utf-8")
        assert not re.search(rf"import.*\b({unwanted})\b|from ({unwanted})", text), source
