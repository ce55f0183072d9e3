"""A length that the training is too short for is refused, never quietly without effect."""

from functools import partial
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spec_values import changed

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import spec_from_mapping
from lottery_ticket.spec._lengths import check_lengths
from lottery_ticket.steps import Duration

STEP = {"train__schedule": "step", "train__duration": "4ep"}
DROP = "leave it out or train longer"
WARM = "warm up for less or train longer"
OFTEN = "evaluate more often or train longer"
ORDER = "wanted each later than the one before; sort them and leave out repeats"
WRONG = [
    (
        {**STEP, "train__milestones": ["2ep", "1ep"]},
        f"train.milestones: got '2ep' followed by '1ep', {ORDER}",
    ),
    (
        {**STEP, "train__milestones": ["1ep", "2ep", "2ep"]},
        f"train.milestones: got '2ep' followed by '2ep', {ORDER}",
    ),
    (
        {**STEP, "train__milestones": ["1ep", "002ep", "2ep"]},
        f"train.milestones: got '2ep' followed by '2ep', {ORDER}",
    ),
    (
        {**STEP, "train__milestones": ["3ep", "4ep"]},
        f"train.milestones: got '4ep', wanted less than train.duration, '4ep'; {DROP}",
    ),
    (
        {"train__warmup": "2ep"},
        f"train.warmup: got '2ep', wanted less than train.duration, '2ep'; {WARM}",
    ),
    (
        {"train__warmup": "3ep", "train__schedule": "cosine"},
        f"train.warmup: got '3ep', wanted less than train.duration, '2ep'; {WARM}",
    ),
    (
        {**STEP, "train__milestones": ["1ep"], "train__warmup": "4ep"},
        f"train.warmup: got '4ep', wanted less than train.duration, '4ep'; {WARM}",
    ),
    (
        {"train__eval_every": "3ep"},
        f"train.eval_every: got '3ep', wanted at most train.duration, '2ep'; {OFTEN}",
    ),
    (
        {"train__duration": "10it", "train__eval_every": "11it"},
        f"train.eval_every: got '11it', wanted at most train.duration, '10it'; {OFTEN}",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_spec_refuses_what_it_can_compare(changes, message):
    with pytest.raises(UsageError) as error:
        spec_from_mapping(changed(**changes), "mine.yaml")
    assert str(error.value) == f"mine.yaml: {message}"


@pytest.mark.parametrize(
    "changes",
    [
        {**STEP, "train__milestones": ["1ep", "2ep", "3ep"], "train__warmup": "3ep"},
        {"train__eval_every": "2ep", "train__warmup": "1ep"},
        {"train__duration": "10it"},  # the default eval_every, an epoch, may be longer
        {"train__duration": "10it", "train__warmup": "9ep", "train__eval_every": "9ep"},
        {**STEP, "train__milestones": ["9it", "1ep", "5it"]},  # who knows how long an epoch is
    ],
)
def test_a_spec_takes_what_may_fit(changes):
    spec_from_mapping(changed(**changes))


texts = st.builds("{}{}".format, st.integers(1, 30), st.sampled_from(["ep", "it"]))
lengths = st.fixed_dictionaries(
    {"duration": texts},
    optional={
        "milestones": st.lists(texts, min_size=1, max_size=3),
        "warmup": texts,
        "eval_every": texts,
    },
)


def is_refused(check, **arguments) -> bool:
    try:
        check(**arguments)
    except UsageError:
        return True
    return False


def have_effect(epoch, duration, milestones=(), warmup=None, eval_every=None) -> bool:
    """The law in plain steps: what is asked for happens before the last step, in its order."""
    steps = [Duration.parse(text).steps(epoch) for text in milestones]
    total = Duration.parse(duration).steps(epoch)
    is_warm_in_time = warmup is None or Duration.parse(warmup).steps(epoch) in range(1, total)
    is_evaluated = eval_every is None or Duration.parse(eval_every).steps(epoch) in range(total + 1)
    return (
        steps == sorted(set(steps))
        and all(step in range(total) for step in steps)
        and is_warm_in_time
        and is_evaluated
    )


def refuses_exactly_what_has_no_effect(check) -> None:
    @settings(report_multiple_bugs=False)
    @given(lengths, st.integers(1, 9))
    @example({"duration": "2ep", "warmup": "9it"}, 5)
    @example({"duration": "2ep", "warmup": "10it"}, 5)
    @example({"duration": "2ep", "warmup": "2ep"}, 5)
    @example({"duration": "2ep", "eval_every": "10it"}, 5)
    @example({"duration": "2ep", "eval_every": "11it"}, 5)
    @example({"duration": "11it", "milestones": ["5it", "1ep"]}, 5)
    @example({"duration": "11it", "milestones": ["6it", "1ep"]}, 5)
    @example({"duration": "3ep", "milestones": ["1ep", "1ep"]}, 5)
    @example({"duration": "2ep", "milestones": ["9it", "10it"]}, 5)
    def law(given_lengths, epoch):
        refused = is_refused(check, **given_lengths, steps_per_epoch=epoch)
        assert refused != have_effect(epoch, **given_lengths)
        early = is_refused(check, **given_lengths)
        assert refused or not early  # what is refused early would be refused later
        units = {text[-2:] for text in _texts(given_lengths)}
        assert early == refused or len(units) == 2

    law()


def _texts(given_lengths) -> list[str]:
    single = [text for name, text in given_lengths.items() if name != "milestones"]
    return [*single, *given_lengths.get("milestones", [])]


def test_exactly_what_has_no_effect_is_refused():
    refuses_exactly_what_has_no_effect(check_lengths)


def _without(name, **arguments):
    check_lengths(**{key: value for key, value in arguments.items() if key != name})


def _longer_by_a_step(name, **arguments):
    if name in arguments:
        steps = Duration.parse(arguments[name]).steps(arguments.get("steps_per_epoch") or 1)
        arguments |= {name: f"{steps + 1}it"}
    check_lengths(**arguments)


def _counts_alone(**arguments):
    same = {name: text[:-2] + "it" for name, text in arguments.items() if isinstance(text, str)}
    rising = [text[:-2] + "it" for text in arguments.get("milestones", [])]
    check_lengths(**same, milestones=rising, steps_per_epoch=1)


def _sorts_first(milestones=(), steps_per_epoch=None, **arguments):
    def in_steps(text):
        return Duration.parse(text).steps(steps_per_epoch or 1)

    check_lengths(
        milestones=sorted(milestones, key=in_steps), steps_per_epoch=steps_per_epoch, **arguments
    )


def _takes_repeats(milestones=(), **arguments):
    kept = [b for a, b in pairwise(["", *milestones]) if a != b]
    check_lengths(milestones=kept, **arguments)


def _an_unknown_epoch_is_one_step(steps_per_epoch=1, **arguments):
    check_lengths(steps_per_epoch=steps_per_epoch, **arguments)


def _never_early(steps_per_epoch=None, **arguments):
    if steps_per_epoch is not None:
        check_lengths(steps_per_epoch=steps_per_epoch, **arguments)


MUTANTS = [
    *(partial(_without, name) for name in ("milestones", "warmup", "eval_every")),
    *(partial(_longer_by_a_step, name) for name in ("duration", "warmup", "eval_every")),
    _counts_alone,
    _sorts_first,
    _takes_repeats,
    _an_unknown_epoch_is_one_step,
    _never_early,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_check_breaks_the_law(mutant):
    with pytest.raises(AssertionError):
        refuses_exactly_what_has_no_effect(mutant)
