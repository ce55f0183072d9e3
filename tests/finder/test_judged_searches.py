"""Searches under several seeds, judged together."""

import dataclasses

import pytest
from own_loops import Loop, net

from lottery_ticket import LotteryTicketFinder, UsageError
from lottery_ticket.analysis import metric_of


def searched(seed, **options):
    loop = Loop(epochs=options.pop("epochs", 2))
    finder = LotteryTicketFinder(model_fn=net, seed=seed)
    fns = {"train_fn": loop.train, "eval_fn": loop.accuracy, "verbose": False}
    finder.find_winning_ticket(**fns, target_sparsity=0.8, pruning_rounds=2, **options)
    return finder.verify(**fns, arms=["reinit"], replicates=2)


@pytest.fixture(scope="module")
def results():
    return [searched(seed) for seed in range(3)]


def test_seeds_are_the_replicates(results):
    found = results[0].verdict(*results[1:], margin=2)
    assert found.num_replicates == 3
    assert found.margin == 0.02
    row = found.contrast(2, "reinit")
    differences = [
        one.ticket - sum(one.control("reinit")) / len(one.control("reinit")) for one in results
    ]
    assert row["n"] == 3  # draws are averaged
    assert row["difference"] == pytest.approx(sum(differences) / 3)
    assert found.contrast(1, "reinit") == {}
    assert found.label != "no verdict"
    assert found.cost is not None
    assert found.cost.search_steps == 48  # two trainings of two epochs


def test_one_search_gives_numbers_and_no_verdict(results):
    found = results[0].verdict()
    assert (found.label, found.margin_stated) == ("no verdict", 0.2)
    assert "Search again under other seeds, 5 in all, and judge them together." in found.sentence
    assert found.contrast(1, "dense")["n"] == 1
    assert str(found).splitlines()[0] == found.about["model"]  # its name, once


def test_what_an_eval_fn_measures_is_not_called_a_test(results):
    assert results[0].verdict(*results[1:]).metric.axis_label == "accuracy (%)"
    assert metric_of(results[0].table).column == "test_accuracy"  # as it is stored
    assert "test accuracy" not in results[0]._repr_html_()


def test_one_seed_twice_is_refused(results):
    with pytest.raises(UsageError, match=r"got the seeds \[0, 0\], wanted each once"):
        results[0].verdict(results[0])


def test_other_searches_are_refused(results):
    other = searched(7, scope="layerwise")
    with pytest.raises(UsageError, match="searches with scope 'global' and 'layerwise', wanted"):
        results[0].verdict(other)


def test_invalid_results_are_refused(results):
    search = results[1].search
    rows = [dataclasses.replace(search.rows[0], problems=("wrote pruned weights",))]
    broken = type(results[1])(dataclasses.replace(search, rows=[*rows, *search.rows[1:]]))
    with pytest.raises(UsageError, match="invalid: ticket level 0: wrote pruned weights"):
        results[0].verdict(broken)
