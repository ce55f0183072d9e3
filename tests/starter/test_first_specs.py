"""The law of `lottery init`: whatever it offers is written as a spec that says it and plans."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery_ticket.api import prepare
from lottery_ticket.arms import TICKET
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.data import DATASETS, found_datasets, load_dataset
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import SCOPES
from lottery_ticket.models import FORMS, MODELS
from lottery_ticket.spec import load_spec
from lottery_ticket.starter import (
    Answers,
    Recipe,
    chosen_data,
    chosen_model,
    control_names,
    data_lines,
    default_model,
    default_recipe,
    fitting_models,
    spec_text,
)
from lottery_ticket.starter._data import KNOWN_FACTS
from lottery_ticket.train import LOSSES, OPTIMIZERS, SCHEDULES

SHAPES = {"flat": (7,), "gray": (1, 28, 28), "colour": (3, 32, 32), "series": (4, 20)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A .npz of each shape, for classes and for numbers."""
    folder = tmp_path_factory.mktemp("arrays")
    draw = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        x = draw.random((60, *shape), dtype=np.float32)
        np.savez(folder / f"{name}.npz", x=x, y=np.arange(60) % 3)
        np.savez(folder / f"{name}-numbers.npz", x=x, y=draw.random((60, 2)).astype(np.float32))
    return folder


def answers_of(data, model, **changes):
    answers = Answers("mine", data, model, 0.5, 2, replace(default_recipe(data), epochs=2))
    return replace(answers, **changes)


def written(answers, folder):
    """The file, having seen that it says what was chosen."""
    path = folder / "mine.yaml"
    path.write_text(spec_text(answers, str(path)), encoding="utf-8")
    spec = load_spec(path)
    assert spec.name == answers.name
    assert (spec.data.name, spec.data.options) == (answers.data.name, dict(answers.data.options))
    assert (spec.model.name, spec.model.options) == (answers.model.name, answers.model.options)
    assert (spec.prune.rate, spec.prune.levels) == (answers.rate, answers.levels)
    recipe = Recipe(
        int(spec.train.duration.removesuffix("ep")),
        spec.train.lr,
        spec.train.batch_size,
        spec.train.optimizer,
        spec.train.momentum,
    )
    assert recipe == answers.recipe
    assert [arm.name for arm in spec.arms] == [TICKET, *answers.controls]
    assert spec.replicates == answers.replicates
    return path


def planned(answers, folder):
    """The plan of what is written, having seen that it says what was chosen."""
    return prepare(written(answers, folder), store=folder / "store").plan


@pytest.mark.parametrize("kind", [f"{n}{t}" for n in SHAPES for t in ("", "-numbers")])
def test_every_model_that_is_offered_takes_the_data(kind, files, tmp_path):
    data = chosen_data(str(files / f"{kind}.npz"))
    models = fitting_models(data)
    assert models, "an MLP takes any numbers"
    for model in models:
        again = chosen_model(model.label, data)
        assert (again.name, again.options) == (model.name, model.options)
        written(answers_of(data, model), tmp_path)
    for model in models[:2]:
        plan = planned(answers_of(data, model, controls=(), replicates=1), tmp_path)
        assert plan.num_steps > 0


@pytest.mark.slow
def test_every_model_that_is_offered_plans(files, tmp_path):
    for kind in SHAPES:
        data = chosen_data(str(files / f"{kind}.npz"))
        for model in fitting_models(data):
            planned(answers_of(data, model, controls=(), replicates=1), tmp_path)


def test_published_models_are_offered_for_the_images_they_are_of(files):
    of = {
        kind: {m.name for m in fitting_models(chosen_data(str(files / f"{kind}.npz")))}
        for kind in SHAPES
    }
    cifar = {form.name for form in FORMS if form.input_shape == (3, 32, 32)}
    assert cifar <= of["colour"]
    assert {"LeNet300", "LeNet5", "MLP"} <= of["gray"]
    assert not {"Conv4", "LeNet5"} & of["flat"]


OWN = [n for n in data_lines() if not (n in KNOWN_FACTS or DATASETS.entry(n).is_user)]
"""Those of the library that are here: other tests have registered sets that they feed."""


@pytest.mark.parametrize("name", OWN)
def test_every_data_set_that_is_offered_plans_with_its_default(name, tmp_path):
    data = chosen_data(name)
    model = default_model(data)
    assert model is not None
    planned(answers_of(data, model), tmp_path)


@pytest.mark.parametrize(
    "name", control_names(chosen_data("digits"), chosen_model("MLP", chosen_data("digits")))
)
def test_every_control_that_is_offered_plans(name, tmp_path):
    data = chosen_data("digits")
    plan = planned(answers_of(data, chosen_model("MLP", data), controls=(name,)), tmp_path)
    assert {row.arm for row in plan.rows} == {TICKET, name}


def test_all_controls_at_once_and_those_a_model_has_not(files, tmp_path):
    data = chosen_data(str(files / "gray.npz"))
    for model in fitting_models(data):
        controls = control_names(data, model)
        planned(answers_of(data, model, controls=tuple(controls), replicates=1), tmp_path)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.floats(0.01, 0.99).map(lambda value: round(value, 3)),
    levels=st.integers(1, 30),
    epochs=st.integers(1, 10**6),
    lr=st.floats(1e-20, 1e10, allow_subnormal=False),
    batch_size=st.integers(1, 10**6),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    replicates=st.integers(1, 10_000),
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    hidden=st.lists(st.integers(1, 300), min_size=1, max_size=3),
)
def test_whatever_is_chosen_is_what_is_read(
    rate, levels, epochs, lr, batch_size, optimizer, replicates, name, hidden, tmp_path_factory
):
    data = chosen_data("digits")
    model = chosen_model(f"MLP hidden={hidden}".replace(" ", "").replace("MLP", "MLP "), data)
    answers = Answers(
        name, data, model, rate, levels, Recipe(epochs, lr, batch_size, optimizer), (), replicates
    )
    path = tmp_path_factory.mktemp("any") / "mine.yaml"
    path.write_text(spec_text(answers, "mine.yaml"), encoding="utf-8")
    spec = load_spec(path)
    assert spec.name == name
    assert (spec.prune.rate, spec.prune.levels) == (rate, levels)
    assert (spec.train.lr, spec.train.batch_size) == (lr, batch_size)
    assert (spec.train.duration, spec.train.optimizer) == (f"{epochs}ep", optimizer)
    assert spec.model.options == {"hidden": hidden}
    assert spec.replicates == replicates


def says_what_each_line_is(text: str) -> None:
    """The law: above each line that says something stands a comment."""
    lines = text.splitlines()
    for before, line in itertools.pairwise(lines):
        if line.strip() and not line.strip().startswith("#"):
            assert before.strip().startswith("# "), line


def small_text():
    data = chosen_data("digits")
    return spec_text(answers_of(data, chosen_model("MLP hidden=[8]", data)), "mine.yaml")


def test_every_line_has_a_comment():
    says_what_each_line_is(small_text())


@pytest.mark.parametrize("line", ["name: mine", "  lr: 0.001", "  - reinit", "  hidden: [8]"])
def test_a_line_without_one_breaks_the_law(line):
    lines = small_text().splitlines()
    above = lines.index(line) - 1
    with pytest.raises(AssertionError):
        says_what_each_line_is("\n".join([*lines[:above], "x: 1", *lines[above + 1 :]]))


def test_the_comments_name_what_is_registered():
    data = chosen_data("digits")
    model = chosen_model("MLP", data)
    with MODELS.restored():
        MODELS.add("quite-new", MODELS["MLP"], is_user=True)
        text = spec_text(answers_of(data, model), "mine.yaml")
    text = re.sub(r"\s*\n\s*# ", " ", text)
    tables = (DATASETS, MODELS, OPTIMIZERS, LOSSES, SCHEDULES, CRITERIA, SCOPES)
    for name in [*itertools.chain(*tables), *control_names(data, model), "quite-new"]:
        assert re.search(rf"\b{re.escape(name)}\b", text), name


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("name", ["digits", "sin"])
def test_every_optimizer_has_a_recipe_that_is_read_as_it_is(name, optimizer, tmp_path):
    data = chosen_data(name)
    recipe = default_recipe(data, optimizer)
    answers = answers_of(data, chosen_model("MLP", data), recipe=recipe)
    says_what_each_line_is(written(answers, tmp_path).read_text())
    assert (recipe.momentum > 0) == (optimizer == "sgd")


@pytest.mark.parametrize("name", KNOWN_FACTS)
def test_what_is_said_of_sets_to_download_is_so(name, tmp_path):
    shape, classes, count = KNOWN_FACTS[name]
    away = chosen_data(name, tmp_path)
    assert not away.is_here
    assert (away.input_shape, away.output_size, away.num_train) == (shape, classes, count)
    if found_datasets().get(name) is None:
        return
    data = load_dataset(name)
    assert (tuple(data.input_shape), data.output_size) == (shape, classes)
    assert len(data.train) == count


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("digts", "did you mean 'digits'"),
        ("missing.npz", "cannot find missing.npz"),
        ("missing.py", "missing.py"),
        ("digits 3", "wanted key=value"),
        ("digits limit=x", "wanted a whole number"),
        ("", "wanted a name or a file"),
        ("'open", "quotation"),
    ],
)
def test_data_that_cannot_be_had(data, said):
    with pytest.raises((UsageError, Exception), match=re.escape(said)) as error:
        chosen_data(data)
    assert type(error.value).__module__ == "lottery_ticket.errors"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("MPL", "did you mean 'MLP'"),
        ("Conv4", "these do: MLP, LeNet300"),
        ("MLP hiden=3", "did you mean 'hidden'"),
        ("missing.py", "missing.py"),
    ],
)
def test_a_model_that_does_not_fit(model, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        chosen_model(model, chosen_data("digits"))


def test_a_file_that_registers_none_or_two(tmp_path):
    none, two = tmp_path / "none.py", tmp_path / "two.py"
    none.write_text("x = 1\n")
    made = "@register_model('{}')\ndef {}(num_classes: int = 10):\n    pass\n"
    two.write_text(
        "from lottery_ticket import register_model\n"
        + made.format("a1", "a")
        + made.format("a2", "b")
    )
    data = chosen_data("digits")
    with MODELS.restored():
        with pytest.raises(UsageError, match="registers one model with @register_model, got none"):
            chosen_model(str(none), data)
        with pytest.raises(UsageError, match="got 2: a1, a2"):
            chosen_model(str(two), data)
