"""Wherever a dense value stands beside a difference it is what that was taken against."""

import re
from dataclasses import replace

import pytest
from small_runs import result_table

from lottery_ticket.analysis import ACCURACY, LOSS, compare, glance, verdict
from lottery_ticket.charts import metric_chart
from lottery_ticket.papers import runs_latex
from lottery_ticket.report import headline


def table_of(*, regression=False, lack=()):
    """A run whose two dense nets are a point apart."""
    table = result_table(regression=regression)
    second = (table["arm"] == "reinit") & (table["level"] == 0)
    table["test_accuracy"] = table["test_accuracy"].where(~second, table["test_accuracy"] - 0.01)
    table["test_loss"] = table["test_loss"].where(~second, table["test_loss"] + 0.01)
    return table.loc[~table.index.isin(lack)]


def number(text):
    return float(re.sub(r"[^\d.+-]", "", text.replace("−", "-").replace("{,}", "")))


def of_compare(found, _):
    (row,) = compare([found]).to_dict("records")
    return row["dense"], row["minus_dense"], row["ticket"]


def of_the_verdict(found, _):
    level = found.shown.level
    means = found.arms.loc[found.arms["arm"] == "ticket"].set_index("level")["mean"]
    return found.dense, found.contrast(level, "dense")["difference"], means[level]


def of_the_cards(found, _):
    names = ("Dense network", "Ticket − dense", "Ticket")
    scale = found.metric.scale
    return tuple(number(headline(found).merit(name)) / scale for name in names)


def of_a_glance(found, table):
    known = glance(table.astype(object).where(table.notna(), None).to_dict("records"))
    last = found.levels[-1].level
    return known.dense, found.contrast(last, "dense")["difference"], known.sparsest


def of_the_chart(found, table):
    chart = metric_chart(table, found.metric, verdict=found)
    dense, margin = (rule.y / found.metric.scale for rule in chart.rules)
    assert abs(dense - margin) == pytest.approx(found.margin)
    last = len(chart.stops) - 1
    (ticket,) = (line for line in chart.series if line.name == "ticket")
    value = ticket.y[last] / found.metric.scale
    return dense, found.contrast(last, "dense")["difference"], value


def of_latex(found, _):
    row = next(line for line in str(runs_latex([found])).split("\n") if "tiny-1" in line)
    cells = [cell.strip(" \\") for cell in row.split("&")]
    dense, ticket, difference = (number(cells[place]) for place in (-6, -3, -2))
    scale = found.metric.scale
    return dense / scale, difference / scale, ticket / scale


PLACES = [of_compare, of_the_verdict, of_the_cards, of_a_glance, of_the_chart, of_latex]


def check_sum(place, found, table):
    dense, difference, ticket = place(found, table)
    assert dense + difference == pytest.approx(ticket, abs=1.6e-4), place.__name__  # rounded thrice


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("metric", [ACCURACY, LOSS])
def test_dense_and_the_difference_are_the_ticket(place, metric):
    table = table_of(regression=metric is LOSS)
    found = verdict(table)
    assert found.metric == metric
    assert found.level is not None  # so that it is compared
    check_sum(place, found, table)


@pytest.mark.parametrize("place", [of_compare, of_the_verdict, of_the_cards, of_latex])
def test_the_tickets_own_dense_net_alone_is_caught(place):
    found = verdict(table_of())
    own = found.arms.loc[(found.arms["arm"] == "ticket") & (found.arms["level"] == 0), "mean"]
    with pytest.raises(AssertionError):
        check_sum(place, replace(found, dense=float(own.iloc[0])), table_of())


def test_a_margin_in_per_cent_is_one_of_that_dense_loss():
    found = verdict(table_of(regression=True))
    assert found.margin == pytest.approx(found.margin_stated / 100 * found.dense)
