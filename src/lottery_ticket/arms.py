"""The arms of an experiment, a row for each: where its masks and its weights come from."""

from dataclasses import dataclass

__all__ = ["ARMS", "Arm"]


@dataclass(frozen=True)
class Arm:
    """How the trainings of an arm come about.

    Args:
        mask: `"own"` (pruned from its own trainings, level by level), `"ticket"`, `"shuffled"`,
            `"random"`, `"oneshot"` (pruned once from the dense net), `"inverted"` (the same, but
            the lowest scores are kept), `"at_init"` (by `criterion` from θ₀), `"source"` (the
            tickets of another data set or recipe), `"narrow"`: none, in a narrower net, or
            `"none"`: none, in a training as long as the whole search, of the last level
            alone.
        weights: `"initial"` (θ₀, or what the pipeline takes instead), `"fresh"`,
            `"fresh_signed"` (fresh magnitudes, the signs of θ₀), `"fresh_scaled"` (fresh, and
            larger where an output reads fewer inputs), `"permuted"` (the kept values of θ₀, each
            layer's among its kept places), `"signed_constant"`, or `"source"` (those of the
            tickets of `"source"`).
        pipeline: a name in `lottery_ticket.pruning.PIPELINES`; None for the ticket's own: `lth`,
            or `rewind` where a rewind step is given.
        criterion: what its masks are made with, if not with the experiment's criterion.
        has_draws: whether several draws of it in one replicate make sense.
    """

    mask: str = "own"
    weights: str = "initial"
    pipeline: str | None = None
    criterion: str | None = None
    has_draws: bool = False

    @property
    def depends_on_rewind(self) -> bool:
        """Whether it is rewound as the ticket is, or takes masks or length of tickets that are."""
        return self.pipeline is None or self.mask in ("ticket", "source", "none")


ARMS: dict[str, Arm] = {
    "ticket": Arm(),
    "transfer": Arm("source", "source", "lth"),
    # what the weights do
    "reinit": Arm("ticket", "fresh", "lth", has_draws=True),
    "transfer_reinit": Arm("source", "fresh", "lth", has_draws=True),
    "reinit_scaled": Arm("ticket", "fresh_scaled", "lth", has_draws=True),
    "values_permuted": Arm("ticket", "permuted", "lth", has_draws=True),
    "sign_reinit": Arm("ticket", "fresh_signed", "lth", has_draws=True),
    "signed_constant": Arm("ticket", "signed_constant", "lth"),
    # what the mask does
    "shuffled": Arm("shuffled", has_draws=True),
    "random": Arm("random", criterion="random", has_draws=True),
    "inverted": Arm("inverted"),
    "dense_small": Arm("narrow", pipeline="lth"),
    # what the search does
    "dense_long": Arm("none", pipeline="lth"),
    "oneshot": Arm("oneshot"),
    "lth": Arm(pipeline="lth"),
    "lr_rewind": Arm(pipeline="lr_rewind"),
    "finetune": Arm(pipeline="finetune"),
    "magnitude_init": Arm("at_init", pipeline="at_init", criterion="magnitude"),
    "snip": Arm("at_init", pipeline="at_init", criterion="snip"),
    "grasp": Arm("at_init", pipeline="at_init", criterion="grasp"),
    "synflow": Arm("at_init", pipeline="at_init", criterion="synflow"),
}
"""The arms by name, in the order in which they are listed."""
