"""What no honest spec is: refused at once, by its size, its depth, or numbers that are none."""

import time

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import load_spec, parse_overrides, spec_from_mapping

TEXT = """\
name: mine
data: {name: sin}
model: {name: MLP, hidden: [4]}
train: {lr: 0.1, momentum: 0.9, batch_size: 8, duration: 2ep, loss: mse}
prune: {rate: 0.5, levels: 1}
seed: 0
"""
VALUES = {
    "name": "mine",
    "data": {"name": "sin"},
    "model": {"name": "MLP", "hidden": [4]},
    "train": {"lr": 0.1, "batch_size": 8, "duration": "2ep", "loss": "mse"},
    "prune": {"rate": 0.5, "levels": 1},
}
SECONDS = 5.0  # of this process: much longer than any takes, much less than they took


def bomb(of: str) -> str:
    inner = ",".join(["*a{0}"] * 9)
    lines = [f"a{i}: &a{i} {of.format(inner.format(i - 1))}\n" for i in range(1, 9)]
    return "a0: &a0 {k: 1}\n" + "".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb("[{}]"), "anchors that stand for more than 5,000 values"),
        (bomb("{{<<: [{}]}}"), "anchors that stand for more than 5,000 values"),
        ("a: &a [*a]", "an anchor that contains itself in line 1"),
        ("a: 1\nb: &b {c: [{d: *b}]}", "an anchor that contains itself in line 2"),
        ("a: &a {<<: *a}", "an anchor that contains itself"),
        ("[" * 90_000, "nested more than 32 deep"),
        ("{a: " * 9_000, "nested more than 32 deep"),
        ("- " * 9_000 + "a", "nested more than 32 deep"),
        ("? " * 9_000 + "a", "nested more than 32 deep"),
        ("a:\n" + " b:\n" * 20_000, "more than 5,000 values"),
        ("# long\n" * 20_000, "longer than 100,000 bytes"),
        (TEXT.replace("seed: 0", "seed: " + "9" * 10_000), "a whole number of 10,000 digits"),
        (TEXT.replace("seed: 0", "seed: 0x" + "f" * 9_000), "a whole number of 9,002 digits"),
        (TEXT.replace("lr: 0.1", "lr: 1e400"), "train.lr: got inf, wanted a finite number"),
        (TEXT.replace("lr: 0.1", "lr: 1e39"), "train.lr: 1e.39 is infinite in float32"),
        (TEXT.replace("0.9", ".5e-400"), "'.5e-400' in line 4 is so small that it is 0"),
        (TEXT.replace("0.9", "1_0.0E-400"), "is so small that it is 0"),
        (TEXT.replace("0.9", "1e-320"), "train.momentum: .* is 0 in float32"),
        (TEXT.replace("lr: 0.1", "lr: 1e-50"), "train.lr: 1e-50 is 0 in float32"),
        (TEXT.replace("lr: 0.1", "lr: 0.1, weight_decay: 1e-39"), "train.weight_decay: 1e-39 is 0"),
        (TEXT.replace("lr: 0.1", "lr: 0.1, clip_norm: 1e-39"), "train.clip_norm: 1e-39 is 0"),
        (TEXT + "margin: 1e-50", "margin: 1e-50 is 0 in float32"),
        (TEXT.replace("rate: 0.5", "rate: 1e-50"), "prune.rate: 1e-50 is 0 in float32"),
        (TEXT.replace("name: sin", "name: sin, noise: 1e-50"), "option 'noise': 1e-50 is 0"),
        (
            TEXT.replace("lr: 0.1", "lr: 1e-30, schedule: step, milestones: [1ep], gamma: 1e-20"),
            "lr falls to 0 in float32",
        ),
        (TEXT.replace("batch_size: 8", "batch_size: 1" + "0" * 80), "train.batch_size: got 1000"),
    ],
)
def test_it_is_refused_at_once(text, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    begin = time.process_time()
    with pytest.raises(UsageError, match=message) as caught:
        load_spec(path)
    assert time.process_time() - begin < SECONDS
    assert len(str(caught.value)) < 1000


def test_zero_is_meant_where_it_is_written(tmp_path):
    path = tmp_path / "mine.yaml"
    for zero in ("0", "0.0", "0e-400", "-0.0", ".0"):
        path.write_text(TEXT.replace("0.9", zero))
        assert load_spec(path).train.momentum == 0


def test_a_file_without_end_is_not_read_to_its_end():
    with pytest.raises(UsageError, match="longer than 100,000 bytes"):
        load_spec("/dev/zero")


def test_what_an_anchor_stands_for_is_a_value_of_its_own(tmp_path):
    path = tmp_path / "mine.yaml"
    source = "source: {train: *recipe}\narms: [transfer]\n"
    path.write_text(TEXT.replace("train: {", "train: &recipe {") + source)
    spec = load_spec(path, ["source.train.lr=0.05"])
    assert (spec.train.lr, spec.source.train.lr) == (0.1, 0.05)


def test_a_byte_order_mark_is_no_part_of_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_spec(path).name == "mine"


def endless() -> dict:
    values: dict = {"name": "MLP"}
    values["hidden"] = [values]
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": endless()}, "nested without end, or too deep"),
        ({"seed": 10**5000}, "seed: got a very large number, wanted less than"),
        ({"arms": [10**5000]}, "arms.0: got a very large number"),
        ({"prune": {"rate": 10**5000, "levels": 1}}, "a very large number is not a fraction"),
        ({"rewind": 10**5000}, "rewind: got a very large number, wanted a unit"),
        ({"rewind": 5}, "rewind: got 5, wanted a unit: 5ep .epochs. or 5it"),
        ({"rewind": 2.5}, "rewind: got 2.5, wanted a unit: 20ep"),
    ],
)
def test_mappings_are_bounded_too(changes, message):
    with pytest.raises(UsageError, match=message):
        spec_from_mapping({**VALUES, **changes})


@pytest.mark.parametrize("key", ["duration", "warmup", "eval_every", "milestones"])
def test_every_length_of_a_recipe_is_told_its_unit(key):
    value = [3] if key == "milestones" else 3
    with pytest.raises(UsageError, match=f"train.{key}.*: got 3, wanted a unit: 3ep"):
        spec_from_mapping({**VALUES, "train": {**VALUES["train"], key: value}})


@pytest.mark.parametrize(
    "override", ["a." * 50_000 + "b=1", "x" * 50_000, "train.lr=" + "[" * 9000]
)
def test_overrides_are_bounded_too(override):
    begin = time.process_time()
    with pytest.raises(UsageError) as caught:
        parse_overrides([override])
    assert time.process_time() - begin < SECONDS
    assert len(str(caught.value)) < 300
