"""What a step costs that trains scores in place of weights: `python benchmarks/bench_scores.py`.

Full training steps of LeNet-300-100 on batches of 64 (forward, backward, SGD with momentum), as
the library's own loop makes them: of dense weights by autograd, and of scores by each policy, at
several densities. In turns, so that all see the same noise of the machine; time is that of the
CPU. A ratio is the median of those of the rounds.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from measure import arguments, in_turns, report

from lottery_ticket.data import Split
from lottery_ticket.masks import budget
from lottery_ticket.models import build
from lottery_ticket.pruning import EdgePopup, MaskScores, Supermask
from lottery_ticket.train import Batches, Step, make_optimizer, step_for

DENSITIES = (0.2, 0.05, 0.01)
STEPS = 20  # in a round


def steps_of(policy: str = "", density: float = 1.0) -> Callable[[], None]:
    """A function that makes the steps of a round."""
    torch.manual_seed(0)
    model = build("LeNet300", 0)
    split = Split(torch.randn(64 * STEPS, 784), torch.randint(10, (64 * STEPS,)))
    batches = Batches(split, 64, 0)
    execution = _execution(model, batches, policy, density)

    def run() -> None:
        for batch in batches.order(0, 0):
            execution(batch, 0.01)

    return run


def _execution(model: torch.nn.Module, batches: Batches, policy: str, density: float) -> Step:
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters() if p.ndim > 1}
    keep = budget(shapes, scope="global", density=density)
    kinds = {"supermask": Supermask, "edge_popup": EdgePopup}
    scores = MaskScores(model, kinds[policy](keep)) if policy else None
    trained = model.parameters() if scores is None else scores.parameters()
    optimizer = make_optimizer("sgd", trained, lr=0.01, momentum=0.9)
    return step_for(
        model, optimizer, {}, batches, loss=F.cross_entropy, kernels="autograd", scores=scores
    )


def main() -> None:
    """Print the ratios."""
    asked = arguments(__doc__)
    torch.set_num_threads(1)
    dense = {"dense": steps_of()}
    ways = {f"{p}, {d:.0%}": steps_of(p, d) for p in ("supermask", "edge_popup") for d in DENSITIES}
    seconds = in_turns(dense | ways, asked.repeats, clock=time.process_time)
    rows = [
        {
            "what": what,
            "ms_per_step": 1e3 * statistics.median(found) / STEPS,
            "ratio": statistics.median(a / b for a, b in zip(found, seconds["dense"], strict=True)),
            "n": len(found),
        }
        for what, found in seconds.items()
    ]
    report("bench_scores", rows, asked.out)


if __name__ == "__main__":
    main()
