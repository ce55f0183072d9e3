"""One round over Ray: a node is lost while a run is made, against the same server that fails.

Ray listens on every address of a machine, so that this wants a network of its own, in which there
is none but the loopback: `make chaos-ray`.
"""

import contextlib
import importlib.util
import json
import os
import random
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from chaos.disturbances import Done
from chaos.rounds import Field, Row, Scene, judged, scene, wait_for
from chaos.runs import RUNS

__all__ = ["play", "why_not"]

_NO_DASHBOARD = {"include_dashboard": False}
_MOST_WORK = 0.7  # of all claims that an undisturbed run takes


def why_not() -> str | None:
    """Why no round can be played here; None: one can."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    if {name for _, name in socket.if_nameindex()} != {"lo"}:
        return "there are addresses that Ray would listen on"
    return None


def play(here: Field, number: int, seed: int) -> Row:
    """Play a round over Ray and judge it: one run, of whose two nodes the first is lost."""
    made = here.plans[0]
    expected = {name: cell for name, cell in here.expected.items() if name in made.cells}
    here = replace(here, plans=[made], expected=expected)
    chance = random.Random(f"ray {seed} {number}")
    after = chance.randint(1, int(_MOST_WORK * len(expected)))
    row = Row(number, seed, f"node@{after}")
    with scene(here, number, seed) as on:
        with _environment(on.crew.environment), _cluster() as cluster:
            began = time.monotonic()
            done = _lose_a_node(on, cluster, after)
            row.seconds = time.monotonic() - began
        return judged(row, here, on, done)


def _lose_a_node(on: Scene, cluster: Any, after: int) -> list[Done]:
    spec = on.crew.folder / "spec.yaml"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(json.dumps(RUNS[0]))
    node = cluster.add_node(num_cpus=2, **_NO_DASHBOARD)
    how = ["--store", on.url, "--executor", "ray", "--address", cluster.address, "--threads", "1"]
    run = on.crew.begin("run", str(spec), *how)
    wait_for(lambda: run.is_over or on.ledger.num_claims >= after)
    done = []
    if not run.is_over:
        cluster.remove_node(node, allow_graceful=False)
        done.append(Done("node", time.monotonic(), on.ledger.held()))
        cluster.add_node(num_cpus=2, **_NO_DASHBOARD)
    wait_for(lambda: run.is_over)
    return done


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    """A cluster whose head makes nothing."""
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0} | _NO_DASHBOARD)
    try:
        yield made
    finally:
        made.shutdown()


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """A block in which nodes are started with an environment."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
