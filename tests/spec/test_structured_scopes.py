"""The scopes n:m and channel: how they are written, and what has no effect with them."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from spec_values import changed

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import PruneSpec, fingerprint, load_spec, spec_from_mapping

TEXT = """\
name: mine
data: {name: digits}
model: {name: LeNet300}
train: {lr: 1e-3, batch_size: 64, duration: 2ep}
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("prune:\n  scope: 2:4\n", "2:4"),
        ("prune: {scope: 2:4, levels: 1}\n", "2:4"),
        ('prune: {scope: "1:16"}\n', "1:16"),
        ("prune: {scope: 12:16}\n", "12:16"),  # in YAML 1.1 a number to the base of 60
        ("prune: {scope: channels, rate: 0.5, levels: 1}\n", "channel"),
        ("prune: {scope: channel, rate: 0.5, levels: 1}\n", "channel"),
    ],
)
def test_written_in_yaml(tmp_path, text, wanted):
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT + text)
    assert load_spec(path).prune.scope == wanted


def test_set_on_the_command_line():
    changes = ["prune.scope=2:4", "prune.rate=null", "prune.levels=null"]
    spec = load_spec("lenet-mnist", changes)
    assert (spec.prune.scope, spec.prune.num_levels) == ("2:4", 2)


def test_one_scope_has_one_name():
    prints = [
        fingerprint(spec_from_mapping(changed(prune={"scope": scope, "levels": 1})))
        for scope in ("2:4", "02:4", "2:04")
    ]
    assert len(set(prints)) == 1


def check_schedule(scope_at: Callable[[PruneSpec, int], str]) -> None:
    """From m of m to n of m, fewer at each level, in steps that differ by one at most."""
    for m in range(2, 13):
        for n in range(1, m):
            for levels in (None, *range(1, m - n + 1)):
                prune = PruneSpec(scope=f"{n}:{m}", levels=levels)
                assert prune.num_levels == (m - n if levels is None else levels)
                texts = [scope_at(prune, level + 1) for level in range(prune.num_levels)]
                assert all(text.endswith(f":{m}") for text in texts)
                kept = [m, *(int(text.split(":")[0]) for text in texts)]
                assert kept[-1] == n
                steps = [before - after for before, after in pairwise(kept)]
                assert min(steps) >= 1
                assert max(steps) - min(steps) <= 1


def test_n_falls_to_its_last_in_even_steps():
    check_schedule(PruneSpec.scope_at)
    assert [PruneSpec(scope="2:4").scope_at(level) for level in (1, 2)] == ["3:4", "2:4"]
    assert PruneSpec(scope="2:4", levels=1).scope_at(1) == "2:4"
    assert [PruneSpec(scope="2:8", levels=4).scope_at(n) for n in (1, 2, 3, 4)] == [
        "6:8", "5:8", "3:8", "2:8",
    ]  # fmt: skip


def at_once(prune: PruneSpec, level: int) -> str:
    return prune.scope


def one_at_a_time(prune: PruneSpec, level: int) -> str:
    n, m = prune.n_of_m or (0, 0)
    return f"{max(n, m - level)}:{m}"


def halved(prune: PruneSpec, level: int) -> str:
    n, m = prune.n_of_m or (0, 0)
    return f"{n if level == prune.num_levels else max(n, m >> level)}:{m}"


@pytest.mark.parametrize("mutant", [at_once, one_at_a_time, halved])
def test_other_schedules_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_schedule(mutant)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prune": {"scope": "4:4"}}, "prune.scope: scope '4:4': n:m keeps n of every m weights, "),
        ({"prune": {"scope": "0:4"}}, "prune.scope: scope '0:4': n:m keeps n of every m weights, "),
        ({"prune": {"scope": "2:4:8"}}, "prune.scope: unknown scope '2:4:8'; did you mean '2:4'?"),
        ({"prune": {"scope": "block:4x4"}}, "prune.scope: unknown scope 'block:4x4'; valid: 2:4, "),
        ({"prune": {"scope": "unstructured"}}, "prune.scope: unknown scope 'unstructured'"),
        ({"prune": {"scope": "chanel"}}, "prune.scope: unknown scope 'chanel'; did you mean 'chan"),
        ({"prune": {"scope": "globl"}}, "prune.scope: unknown scope 'globl'; did you mean 'global"),
        ({"prune": {"scope": 124}}, "prune.scope: got 124 (int), wanted text"),
        (
            {"prune": {"scope": "2:4", "rate": 0.2}},
            "prune: rate has no effect with scope '2:4', which keeps 2 of every 4 weights; leave",
        ),
        (
            {"prune": {"scope": "2:4", "densities": [0.5]}},
            "prune: densities has no effect with scope '2:4', which keeps 2 of every 4 weights",
        ),
        (
            {"prune": {"scope": "2:4", "levels": 3}},
            "prune: levels: got 3, wanted at most 2 with scope '2:4': each level prunes at least",
        ),
        ({"prune": {"scope": "channel"}}, "prune: give rate and levels, or densities"),
        (
            {"prune": {"scope": "2:4"}, "arms": ["ticket", "synflow"]},
            "arms: 'synflow' prunes in 100 rounds of rising sparsity, and scope '2:4' has only its",
        ),
        (
            {"prune": {"scope": "2:4", "once": True}, "arms": ["ticket", "oneshot"]},
            "arms: with prune.once the ticket is 'oneshot' itself; leave it out",
        ),
        ({"prune__ignore": "fc3"}, "prune.ignore: got 'fc3' (str), wanted a list"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(UsageError) as refused:
        spec_from_mapping(changed(**changes))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
