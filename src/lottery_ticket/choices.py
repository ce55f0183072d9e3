"""What some options can be, known without importing torch: the command line lists it."""

__all__ = ["CLAIMS", "DEVICES", "EXECUTORS", "KEEP", "KERNELS", "TRACKERS"]

CLAIMS = ("lock", "lease")
"""How a folder's cells are claimed: as one operating system knows, or machines that share it."""

DEVICES = ("auto", "cpu", "cuda", "mps")
"""Where cells are made; a GPU by its number too: `cuda:1`."""

EXECUTORS = ("local", "ray", "workers")
"""Who makes cells: this machine, a Ray cluster, or the workers of a store."""

KERNELS = ("auto", "autograd", "compiled", "direct", "direct-dense", "direct-sparse")
"""How steps are executed."""

KEEP = ("all", "needed")
"""Whose trained weights are kept: of every cell, or of those that other cells read."""

TRACKERS = ("mlflow", "tensorboard", "trackio", "wandb")
"""Where runs can be followed, beside people's own."""
