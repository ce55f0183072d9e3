"""The engine on the data it is made for: few and short trainings, real images."""

import pytest
from tiny_runs import planned, run_in
from torch import nn

from lottery_ticket import register_model
from lottery_ticket.spec import load_spec, spec_from_mapping
from lottery_ticket.store import history_rows, table_rows


def rows_of(store, spec, **options) -> dict[tuple[str, int], dict]:
    run = store.run(planned(spec, **options).id)
    return {(row["arm"], row["level"]): row for row in table_rows(store, run)}


def test_lenet_on_mnist_learns_and_its_ticket_keeps_up(tmp_path, data_dir):
    changes = ["replicates=1", "train.duration=1ep", "prune.rate=0.84", "prune.levels=1"]
    spec = load_spec("lenet-mnist", changes)
    store, outcome = run_in(tmp_path, spec, data_dir=data_dir, threads=1)
    assert outcome.is_complete
    rows = rows_of(store, spec, data_dir=data_dir)
    assert [rows["ticket", level]["num_kept"] for level in range(2)] == [266_200, 42_592]
    assert rows["ticket", 0]["test_accuracy"] > 0.95
    assert rows["reinit", 0]["test_accuracy"] > 0.95
    # at 16 % of the weights, after one epoch each: the ticket starts where it left off learning
    assert rows["ticket", 1]["test_accuracy"] > rows["reinit", 1]["test_accuracy"]
    assert rows["ticket", 1]["test_accuracy"] > 0.95
    assert all(row["val_loss"] is None and row["early_stop_step"] is None for row in rows.values())


def test_validation_split_chooses_the_early_stop(tmp_path, data_dir):
    changes = [
        *("replicates=1", "arms=[ticket]", "data.validation=5000", "prune.levels=1"),
        *("train.duration=200it", "train.eval_every=50it"),
    ]
    spec = load_spec("lenet-mnist", changes)
    store, _ = run_in(tmp_path, spec, data_dir=data_dir, threads=1)
    run = store.run(planned(spec, data_dir=data_dir).id)
    row = table_rows(store, run)[0]
    history = [r for r in history_rows(store, run) if r["level"] == 0]
    assert [record["step"] for record in history] == [50, 100, 150, 200]
    best = min(history, key=lambda record: record["val_loss"])
    assert row["early_stop_step"] == best["step"]
    assert row["test_accuracy_at_early_stop"] == best["test_accuracy"]


@register_model("tiny-conv")
def tiny_conv(num_classes: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(576, num_classes)),
    )


@pytest.mark.slow
def test_conv_net_on_cifar_with_augmentation_learns(tmp_path, cifar_dir):
    spec = spec_from_mapping(
        {
            "name": "cifar",
            "data": {"name": "cifar10"},
            "model": {"name": "tiny-conv"},
            "train": {
                **{"optimizer": "adam", "lr": 0.003, "batch_size": 100, "duration": "200it"},
                **{"augment": "pad_crop_flip", "eval_every": "200it"},
            },
            "prune": {"densities": [0.3]},
        }
    )
    store, outcome = run_in(tmp_path, spec, data_dir=cifar_dir, threads=1)
    assert outcome.is_complete
    rows = rows_of(store, spec, data_dir=cifar_dir)
    assert rows["ticket", 0]["test_accuracy"] > 0.3  # chance is 0.10
    assert rows["ticket", 1]["density"] == pytest.approx(0.3, abs=1e-4)
    assert rows["ticket", 1]["test_accuracy"] > 0.3


def test_regression_has_losses_and_no_accuracies(tmp_path):
    spec = load_spec("sin-regression", ["replicates=1", "prune.levels=1", "train.duration=300it"])
    store, outcome = run_in(tmp_path, spec)
    assert outcome.is_complete
    rows = rows_of(store, spec)
    assert all(row["test_accuracy"] is None for row in rows.values())
    assert rows["ticket", 0]["test_loss"] < 0.2  # the variance of the targets is about 0.5
