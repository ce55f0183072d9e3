"""The law: whenever and in which order trainings end, of each tracked run the same is told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.tracking import Record, Story, TrackedRun

LEVELS, STEPS = 4, 20
WHOLE = TrackedRun("demo-1", "demo-1", "demo-1", "demo", {"train.lr": 0.1})
LINES = [("ticket", 0, 0), ("ticket", 1, 0), ("reinit", 0, 0), ("reinit", 0, 1)]


def training(line, level: int) -> list[Record]:
    """Two measurements along a training, and what it has come to."""
    arm, replicate, draw = line
    kept = 100 - 10 * level

    def record(step, **metrics):
        place = ("demo-1", arm, level, replicate, draw, kept / 100, kept, 100)
        return Record(*place, step, metrics)

    along = [record(step, test_accuracy=step / 100) for step in (STEPS // 2, STEPS)]
    return [*along, record(STEPS, test_accuracy=STEPS / 100, num_steps=STEPS)]


TRAININGS = [training(line, level) for line in LINES for level in range(LEVELS)]
PLACES = [records[-1] for records in TRAININGS]


def planned() -> Story:
    return Story(WHOLE, PLACES)


def at_once() -> Story:
    """Tells what has ended when it has."""
    return Story(WHOLE, [])


def told(story: Story, trainings) -> dict[str, list]:
    """The calls of each tracked run."""
    calls = story.begin()
    for records in trainings:
        calls += story.add(records)
    calls += [*story.end(), *story.over()]
    found = {}
    for call in calls:
        found.setdefault(call.run.id, []).append((call.method, dict(call.arguments)))
    return found


def check_order_is_nothing(make, trainings) -> None:
    assert told(make(), trainings) == told(make(), TRAININGS)


@given(trainings=st.permutations(TRAININGS))
def test_the_order_of_endings_is_nothing(trainings):
    check_order_is_nothing(planned, trainings)


def test_telling_at_once_breaks_the_law():
    with pytest.raises(AssertionError):
        check_order_is_nothing(at_once, TRAININGS[::-1])


def test_steps_go_on_from_level_to_level():
    calls = told(planned(), TRAININGS)["demo-1-reinit-0-1"]
    logs = [arguments for method, arguments in calls if method == "log"]
    along = [call["step"] for call in logs if "training/level" in call["values"]]
    assert along == [10, 20, 30, 40, 50, 60, 70, 80]
    assert [call["step"] for call in logs if "level/density" in call["values"]] == [0, 1, 2, 3]
    assert logs[2]["values"] == {
        "level/density": 1.0, "level/sparsity": 0.0, "level/num_kept": 100,
        "level/test_accuracy": 0.2, "level/num_steps": 20,
    }  # fmt: skip
    assert calls[0] == ("start", {})
    assert calls[-1] == ("finish", {"is_complete": True})


@given(seen=st.lists(st.integers(1, 2), max_size=4))
def test_what_is_seen_on_the_way_is_nothing(seen):
    """Told as it is measured, or once it is finished: the same calls."""

    def watched(story):
        calls = story.begin()
        for records in TRAININGS:
            for number in seen:  # also what goes back behind a checkpoint
                calls += story.along(records[:number])
            calls += story.add(records)
        calls += [*story.end(), *story.over()]
        found = {}
        for call in calls:
            found.setdefault(call.run.id, []).append((call.method, dict(call.arguments)))
        return found

    assert watched(planned()) == told(planned(), TRAININGS)


def test_nothing_is_seen_on_the_way_before_its_turn():
    story = planned()
    assert story.along(training(LINES[0], 1)[:1]) == []
    assert [call.method for call in story.along(training(LINES[0], 0)[:1])] == ["start", "log"]


def test_what_is_missing_holds_the_rest_back_until_it_is_there():
    """Also from one call to the next, with a tracker that takes steps in their order alone."""
    story = planned()
    story.begin()
    sent = story.add(training(LINES[0], 0))
    assert story.add(training(LINES[0], 2)) == []  # level 1 is not there
    assert story.held == {LINES[0]: (1, [2])}
    assert not story.is_complete
    assert [(c.method, dict(c.arguments)) for c in story.end()] == [
        ("finish", {"is_complete": False})
    ]
    again = planned()
    again.begin()
    for level in range(LEVELS):
        sent += again.add(training(LINES[0], level))
    assert again.held == {}
    steps = [c.arguments["step"] for c in sent if "training/level" in c.arguments.get("values", ())]
    assert list(dict.fromkeys(steps)) == sorted(set(steps))


def stretched(level: int) -> list[Record]:
    """A training of an arm whose levels are three times as long as the dense one."""
    records = training(LINES[2], level)
    return records if level == 0 else [replace(r, step=3 * r.step) for r in records]


def test_levels_of_any_length_follow_one_another():
    """Nothing is told twice under one name and step, in ascending steps."""
    calls = told(planned(), [stretched(level) for level in range(LEVELS)])["demo-1-reinit-0"]
    logs = [arguments for method, arguments in calls if method == "log"]
    along = [call["step"] for call in logs if "training/level" in call["values"]]
    assert along == [10, 20, 50, 80, 110, 140, 170, 200]
    keys = [(name, call["step"]) for call in logs for name in call["values"]]
    assert len(keys) == len(set(keys))


def test_what_was_told_is_not_told_again():
    story = planned()
    assert len(story.add(training(LINES[0], 0))) == 4  # start, two along it, its end
    assert story.add(training(LINES[0], 0)) == []


def test_params_are_the_recipe_and_the_place():
    story = planned()
    part = story.add(training(LINES[3], 0))[0].run
    assert (part.name, part.group, part.experiment) == ("reinit-0-1", "demo-1", "demo")
    assert part.params == {"train.lr": 0.1, "arm": "reinit", "replicate": 0, "draw": 1}
    assert WHOLE.is_whole
    assert not part.is_whole
