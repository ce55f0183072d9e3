"""The forms: what a table of models lists, and what a figure calls one."""

import pytest

from lottery_ticket.models import FORMS, MODELS, build, model_label, model_options, options_text


def test_every_choice_of_form_is_listed():
    listed = {}
    for form in FORMS:
        assert set(form.options) <= set(model_options(form.name))
        for option, value in form.options.items():
            listed.setdefault((form.name, option), set()).add(value)
    for name in ("Conv2", "Conv4", "Conv6"):
        assert listed[name, "form"] == {"compact", "paper"}
    for depth in (11, 13, 16, 19):
        assert listed[f"VGG{depth}", "form"] == {"imagenet", "cifar"}
    for depth in (18, 34, 50, 101):
        assert listed[f"ResNet{depth}", "stem"] == {"imagenet", "cifar"}
    for depth in (20, 32, 44, 56, 110):
        assert listed[f"ResNet{depth}", "shortcut"] == {"A", "B"}


def check_labels_tell_forms_apart(label):
    """Two nets that differ have different labels, given or by default."""
    labels = [label(form.name, form.options) for form in FORMS]
    assert len(set(labels)) == len(FORMS)
    for name, option in (("Conv4", "form"), ("VGG16", "form"), ("ResNet18", "stem")):
        default = model_options(name)[option].default
        assert default in label(name, {})
        assert label(name, {}) == label(name, {option: default})
    assert label("LeNet300", {"hidden": [30, 10]}) != label("LeNet300", {})
    assert label("LeNet300", {"hidden": [300, 100], "input_size": 784}) == "LeNet300"


def test_labels_tell_forms_apart():
    check_labels_tell_forms_apart(model_label)


def name_alone(name, options):
    return name


def given_options(name, options):
    return f"{name} {options}"


def options_in_words(name, options):
    return model_label(name, {n: v for n, v in options.items() if isinstance(v, str)})


@pytest.mark.parametrize("mutant", [name_alone, given_options, options_in_words])
def test_other_labels_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_labels_tell_forms_apart(mutant)


def test_literal_labels():
    assert model_label("Conv4") == "Conv4 (form=compact)"
    assert model_label("VGG16", {"batch_norm": True}) == "VGG16 (form=imagenet, batch_norm=true)"
    assert model_label("ResNet20", {"num_classes": 10}) == "ResNet20 (shortcut=B)"
    assert model_label("ResNet20", {"init": "orthogonal"}) == (
        "ResNet20 (shortcut=B, init=orthogonal)"
    )
    assert model_label("theirs", {"width": 3}) == "theirs (width=3)"
    assert "theirs" not in MODELS
    assert options_text({}) == ""


def test_the_form_that_a_label_names_is_the_one_that_is_built():
    for name in ("Conv2", "Conv4"):
        hidden = [m for m in build(name, 0).classifier.modules() if hasattr(m, "out_features")]
        assert len(hidden) == 1
        assert "compact" in model_label(name)
