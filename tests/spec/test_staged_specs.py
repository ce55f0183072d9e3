"""`until_decided`: one rule, however it is written, and no other spec is renamed by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import (
    UntilDecidedSpec,
    canonical,
    load_spec,
    short_labels,
    spec_from_mapping,
)

PLAIN = canonical(load_spec("quickstart"))
LOOKS = [5, 10, 20, 30]


def staged(rule: object) -> object:
    return spec_from_mapping({**PLAIN, "until_decided": rule}).until_decided


@pytest.mark.parametrize("rule", [True, LOOKS, {"looks": LOOKS}, {}])
def test_it_is_one_rule_however_it_is_written(rule):
    found = staged(rule)
    assert isinstance(found, UntilDecidedSpec)
    assert canonical(found) == {"looks": LOOKS, "alphas": [0.005, 0.01, 0.015, 0.02]}
    assert staged(canonical(found)) == found


@pytest.mark.parametrize("off", [False, None])
def test_off_it_is_left_out(off):
    assert canonical(spec_from_mapping({**PLAIN, "until_decided": off})) == PLAIN


@given(st.lists(st.integers(2, 10_000), min_size=2, max_size=100, unique=True).map(sorted))
def test_any_looks_share_five_percent(looks):
    found = UntilDecidedSpec.model_validate(looks)
    assert sum(found.alphas) == pytest.approx(0.05)
    assert list(found.alphas) == sorted(found.alphas)
    assert UntilDecidedSpec.model_validate(canonical(found)) == found


def test_it_wants_the_arms_that_a_verdict_is_made_of():
    with pytest.raises(UsageError, match="add 'reinit' to the arms"):
        spec_from_mapping({**PLAIN, "arms": ["ticket"], "until_decided": True})


def test_runs_are_told_apart_by_their_looks():
    specs = [canonical(spec_from_mapping({**PLAIN, "until_decided": r})) for r in ([5, 9], None)]
    assert short_labels(specs) == ["until_decided=[5, 9]", "until_decided=–"]
