"""A run's table without a run: values by formula."""

from lottery_ticket.analysis import as_table


def accuracy(arm, level, replicate, fall):
    """The ticket holds for two levels and then falls; reinit falls at once."""
    lost = {"ticket": fall * max(0, level - 2), "reinit": 0.02 * level}.get(arm, 0.01 * level)
    noise = (level + (2 if arm == "reinit" else 1) * replicate) % 3
    return 0.9 - lost + 0.0005 * replicate + 0.0002 * noise


def result_table(arms=("ticket", "reinit"), replicates=3, *, levels=4, fall=0.01):
    return as_table(
        [
            {
                "run": "tiny-1",
                "arm": arm,
                "level": level,
                "replicate": replicate,
                "draw": 0,
                "density": 0.5**level,
                "sparsity": 1 - 0.5**level,
                "num_kept": round(1024 * 0.5**level),
                "num_prunable": 1024,
                "num_test": 10_000,
                "test_accuracy": accuracy(arm, level, replicate, fall),
                "test_loss": 1 - accuracy(arm, level, replicate, fall),
                "early_stop_step": 10 + level,
                "is_still_falling": False,
                "num_steps": 20,
                "train_seconds": 2.0,
            }
            for arm in arms
            for level in range(levels)
            for replicate in range(replicates)
        ]
    )
