"""Criteria that look at weights alone, against literal values."""

import pytest
import torch

from lottery_ticket.criteria import CRITERIA, score

FINAL = {"w": torch.tensor([-2.0, 1.0, -0.0, 0.5]), "v": torch.tensor([[3.0, -4.0]])}
INITIAL = {"w": torch.tensor([-1.5, -3.0, 1.0, -0.5]), "v": torch.tensor([[4.0, 4.0]])}

WANTED = {
    "magnitude": {"w": [2.0, 1.0, 0.0, 0.5], "v": [[3.0, 4.0]]},
    "large_final": {"w": [2.0, 1.0, 0.0, 0.5], "v": [[3.0, 4.0]]},
    "small_final": {"w": [-2.0, -1.0, 0.0, -0.5], "v": [[-3.0, -4.0]]},
    "large_init": {"w": [1.5, 3.0, 1.0, 0.5], "v": [[4.0, 4.0]]},
    "magnitude_increase": {"w": [0.5, -2.0, -1.0, 0.0], "v": [[-1.0, 0.0]]},
    "movement": {"w": [0.5, 4.0, 1.0, 1.0], "v": [[1.0, 8.0]]},
}


def check_values(name, criterion):
    """Literal scores, in the order of the weights, which stay as they are."""
    weights = {n: w.clone() for n, w in FINAL.items()}
    initial = {n: INITIAL[n].clone() for n in reversed(INITIAL)}
    scores = score(criterion, weights=weights, initial=initial)
    assert list(scores) == ["w", "v"]
    assert {n: values.tolist() for n, values in scores.items()} == WANTED[name]
    for values in scores.values():
        values.fill_(7.0)
    assert all(torch.equal(weights[n], FINAL[n]) for n in FINAL)
    assert all(torch.equal(initial[n], INITIAL[n]) for n in INITIAL)


@pytest.mark.parametrize("name", WANTED)
def test_literal_values(name):
    check_values(name, name)


def square(weights):
    return {name: weight.square() for name, weight in weights.items()}


def signed_movement(weights, initial):
    return {name: weight - initial[name] for name, weight in weights.items()}


MUTANTS = {
    "magnitude": [square, CRITERIA["small_final"], CRITERIA["large_init"]],
    "small_final": [CRITERIA["magnitude"]],
    "large_init": [CRITERIA["magnitude"]],
    "magnitude_increase": [CRITERIA["movement"], signed_movement],
    "movement": [CRITERIA["magnitude_increase"], signed_movement],
}


@pytest.mark.parametrize(
    ("name", "mutant"), [(name, mutant) for name, all_ in MUTANTS.items() for mutant in all_]
)
def test_other_formulas_are_caught(name, mutant):
    with pytest.raises(AssertionError):
        check_values(name, mutant)


def test_what_they_need():
    needs = {name: set(CRITERIA[name].needs) for name in WANTED}
    assert needs == {
        "magnitude": {"weights"},
        "large_final": {"weights"},
        "small_final": {"weights"},
        "large_init": {"initial"},
        "magnitude_increase": {"weights", "initial"},
        "movement": {"weights", "initial"},
    }
    assert not any(CRITERIA[name].needs_data for name in [*WANTED, "random"])
    assert CRITERIA["magnitude"].needs_weights
    assert not CRITERIA["large_init"].needs_weights
    assert not CRITERIA["random"].needs_weights
    assert CRITERIA["large_final"] is CRITERIA["magnitude"]


def test_infinite_weights_have_infinite_magnitude():
    scores = score("magnitude", weights={"w": torch.tensor([-float("inf"), 1.0])})
    assert scores["w"].tolist() == [float("inf"), 1.0]


def drawn(seed, fill):
    weights = {"w": torch.full((3, 2), fill), "v": torch.full((4,), fill)}
    return score("random", weights=weights, generator=torch.Generator().manual_seed(seed))


def test_random_depends_on_the_generator_alone():
    assert all(torch.equal(drawn(0, 1.0)[name], drawn(0, -5.0)[name]) for name in ("w", "v"))
    assert not torch.equal(drawn(0, 1.0)["w"], drawn(1, 1.0)["w"])
    stream = torch.Generator().manual_seed(0)
    for values in drawn(0, 1.0).values():  # one stream, layers in the mask's order
        wanted = torch.rand(values.shape, dtype=torch.float64, generator=stream)
        assert torch.equal(values, wanted)


def test_random_does_not_look_at_the_weights():
    """The engine passes uninitialised memory."""
    weights = {"w": torch.full((3,), float("nan"))}
    assert not score("random", weights=weights, generator=torch.Generator())["w"].isnan().any()


def test_random_is_uniform():
    weights = {"w": torch.zeros(20_000)}
    scores = score("random", weights=weights, generator=torch.Generator().manual_seed(0))["w"]
    assert scores.dtype == torch.float64  # so that ties do not favour low indices
    assert len(scores.unique()) == 20_000
    assert torch.histc(scores.float(), 10, 0, 1).sub(2000).abs().max() < 200
