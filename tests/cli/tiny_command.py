"""A run of a second."""

TINY = (
    "run", "quickstart", "--jobs", "1", "--threads", "1", "--set", "replicates=1",
    "--set", "prune.levels=2", "--set", "train.duration=2ep", "--set", "model.hidden=[12, 8]",
)  # fmt: skip
