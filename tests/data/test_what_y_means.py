"""What y is taken for, and that it is never another task or number of classes without a word."""

import numpy as np
import pytest

from lottery_ticket.data import load_dataset
from lottery_ticket.errors import DataError, LotteryError, UsageError
from lottery_ticket.experiment import inspect_inputs, plan
from lottery_ticket.spec import spec_from_mapping

N = 60
X = (np.arange(N * 4) % 7).reshape(N, 4).astype(np.float32) / 2
C = np.arange(N) % 3
# y → what its labels are called once `relabel` has numbered them; (0, 1, 2) is nothing to tell
ODD = {
    "from 1": (C + 1, (1, 2, 3)),
    "0 and 255": (np.where(C == 1, 255, 0).astype(np.uint8), (0, 255)),
    "-1 and 1": (np.where(C == 1, 1, -1), (-1, 1)),
    "with a gap": (C * 2, (0, 2, 4)),
    "huge": (C * 10**12, (0, 10**12, 2 * 10**12)),
    "floats from 1": (C + 1.0, (1.0, 2.0, 3.0)),
    "text": (np.array(["cat", "dog", "eel"])[C], ("cat", "dog", "eel")),
    "bytes": (np.array([b"a", b"b", b"c"])[C], ("a", "b", "c")),
    "one-hot": (np.eye(3, dtype=np.int64)[C], None),
    "one-hot floats": (np.eye(3)[C], None),
}
PLAIN = {
    "integers": C,
    "unsigned": C.astype(np.uint64),
    "of shape (N, 1)": C[:, None],
}


@pytest.fixture
def saved(tmp_path):
    def save(**content):
        np.savez(tmp_path / "a.npz", **content)
        return str(tmp_path / "a.npz")

    return save


def loaded(path, **options):
    return load_dataset("arrays", path=path, **options)


@pytest.mark.parametrize("name", PLAIN)
def test_classes_from_0_are_taken(saved, name):
    data = loaded(saved(x=X, y=PLAIN[name]))
    assert (data.task, data.num_classes, data.classes) == ("classification", 3, None)
    assert data.train.y.shape == (48,)


@pytest.mark.parametrize("name", ODD)
def test_any_others_want_a_word(saved, name):
    y, called = ODD[name]
    path = saved(x=X, y=y)
    with pytest.raises(DataError, match=r"relabel=true|task=classification") as caught:
        loaded(path)
    assert path in str(caught.value)
    data = loaded(path, relabel=True)
    assert (data.task, data.classes) == ("classification", called)
    assert data.num_classes == len(called or "abc")
    # in the order of their values, whatever the split
    both = np.concatenate([data.train.y, data.test.y])
    flat = np.argmax(y, 1) if called is None else np.unique(y, return_inverse=True)[1]
    assert np.bincount(both).tolist() == np.bincount(flat).tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
def test_classes_saved_as_floats(saved, dtype, shape):
    path = saved(x=X, y=C.astype(dtype).reshape(shape))
    with pytest.raises(DataError, match=r"whole numbers as floats .* classes or a regression"):
        loaded(path)
    assert loaded(path, task="classification").num_classes == 3
    assert loaded(path, task="regression").output_size == 1


def test_a_regression_that_cannot_be_classes_needs_no_word(saved):
    for y in (C + 0.5, X[:, 0], np.arange(N) * 1.0, X[:, :3]):
        assert loaded(saved(x=X, y=y)).task == "regression"


def test_whole_numbers_can_be_predicted(saved):
    """And bytes that are predicted are not pixels."""
    data = loaded(saved(x=X, y=np.full(N, 200, np.uint8)), task="regression")
    assert data.train.y.unique().tolist() == [200.0]


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (np.eye(3)[C] * 0.8 + 0.1, {"task": "classification"}, "Give each example one class"),
        (np.ones((N, 2), int), {}, "Give each example one class"),
        (X[:, 0], {"task": "classification"}, "use the loss mse"),
        (X[:, 0], {"relabel": True}, "use the loss mse"),
        (np.where(C == 1, np.nan, C), {"task": "classification"}, "holds NaN"),
        (C * 0, {}, "all labels are 0, wanted at least two classes"),
        (C * 0, {"relabel": True}, "y has 1 classes"),
        (C, {"num_classes": 2}, "labels go up to 2, num_classes is 2"),
        (C, {"num_classes": 1}, "num_classes is 2 or more; got 1"),
        (C, {"num_classes": -3}, "num_classes is 2 or more; got -3"),
        (C, {"num_classes": "3"}, "option 'num_classes': got '3' .str., wanted"),
        (C, {"task": "ranking"}, "task is classification or regression; got 'ranking'"),
        (C, {"task": "regression", "relabel": True}, "have no effect on a regression"),
        (np.array(list("abc"))[C], {"task": "regression"}, "y is text"),
        (np.array(list("abc"), object)[C], {}, r"text \(y\.astype\(str\)\)"),
        (C * 1j, {}, "wanted numbers"),
    ],
)
def test_what_is_refused(saved, y, options, message):
    with pytest.raises(LotteryError, match=message):
        loaded(saved(x=X, y=y), **options)


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_class_without_training_examples_is_named(saved, part):
    path = saved(x=X, y=C % 2, **{f"x_{part}": X, f"y_{part}": C})
    with pytest.raises(DataError, match=f"class 2 occurs in {part} and in no training example"):
        loaded(path)
    assert loaded(path, num_classes=3).num_classes == 3
    words = saved(
        x=X, y=np.array(list("aab"))[C], **{f"x_{part}": X, f"y_{part}": np.array(list("abc"))[C]}
    )
    with pytest.raises(DataError, match="class 'c' occurs in"):
        loaded(words, relabel=True)


def test_a_class_that_is_only_trained_on_is_no_fault(saved):
    data = loaded(saved(x=X, y=C, x_test=X, y_test=C % 2, x_validation=X, y_validation=C * 0))
    assert data.num_classes == 3


def spec(path, **changes):
    values = {
        "name": "mine",
        "data": {"name": "arrays", "path": path} | changes.pop("data", {}),
        "model": {"name": "LeNet300", "hidden": [4, 4]},
        "train": {"lr": 0.1, "batch_size": 10, "duration": "1ep"} | changes.pop("train", {}),
        "prune": {"rate": 0.5, "levels": 1},
        "arms": ["ticket", "snip"],
    }
    return spec_from_mapping(values)


def cells(path, **changes):
    a_spec = spec(path, **changes)
    return list(plan(a_spec, inspect_inputs(a_spec)).cells)


def test_classes_lost_to_the_held_out_are_noted(saved):
    """Our own split took them: no fault of the file's, but nobody should have to guess."""
    y = C.copy()
    alone = loaded(saved(x=np.arange(N, dtype=np.float32), y=C)).test.x.flatten().long()[:1]
    y[alone] = 3  # the one example of a class, which is held out
    inputs = inspect_inputs(spec(saved(x=X, y=y)))
    assert inputs.notes == ("arrays: test has classes without a training example: 3",)
    assert inspect_inputs(spec(saved(x=X, y=C))).notes == ()


def test_the_loss_says_what_floats_are(saved):
    path = saved(x=X, y=C * 1.0)
    assert inspect_inputs(spec(path)).model_options["num_classes"] == 3
    regression = inspect_inputs(spec(path, train={"loss": "mse"}))
    assert regression.model_options["num_classes"] == 1
    with pytest.raises(UsageError, match=r"does not fit 'arrays', a regression; use mse"):
        inspect_inputs(spec(path, data={"task": "regression"}))
    # written again under the same name, it is another set
    with pytest.raises(UsageError, match="use the loss mse"):
        inspect_inputs(spec(saved(x=X, y=X[:, 0])))


def test_what_is_said_twice_renames_nothing(saved):
    """Results from before there were these options are found again, whatever had to be said."""
    path = saved(x=X, y=C)
    names = cells(path)
    for said in ({"task": "classification"}, {"num_classes": 3}, {"num_classes": 0}, {"limit": 0}):
        assert cells(path, data=said) == names
    for other in ({"num_classes": 4}, {"relabel": True}, {"limit": 30}):
        assert not set(cells(path, data=other)) & set(names)


# as they were before there were any options; labels from 1 or with a gap were one class more
BEFORE = [
    (C, {}, {}, "mine-4a3f46da"),
    (C + 1, {"num_classes": 4}, {}, "mine-c818dd91"),
    (C * 2, {"num_classes": 5}, {}, "mine-c4531c78"),
    (C == 1, {}, {}, "mine-b6c0daa2"),
    (C * 1.0, {}, {"loss": "mse"}, "mine-1a832e2f"),
    (np.eye(3)[C], {}, {"loss": "mse"}, "mine-707c8fa9"),
    (X[:, 0], {}, {"loss": "mse"}, "mine-bc6f8ea5"),
]


@pytest.mark.parametrize(("y", "data", "train", "run_id"), BEFORE)
def test_results_keep_their_names(saved, y, data, train, run_id):
    a_spec = spec(saved(x=X, y=y), data=data, train=train)
    assert plan(a_spec, inspect_inputs(a_spec)).id == run_id
