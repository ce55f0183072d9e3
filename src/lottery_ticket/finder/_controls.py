"""Which arms are controls of a search with anyone's training loop."""

from lottery_ticket.arms import ARMS, TICKET, Arm
from lottery_ticket.pruning import POLICIES

__all__ = ["controls", "trains_scores", "why_no_scores"]

_MASKS = ("ticket", "shuffled", "random", "oneshot", "inverted", "at_init", "during")
_WEIGHTS = ("initial", "fresh", "fresh_signed", "fresh_scaled", "permuted", "signed_constant")


def controls() -> dict[str, Arm]:
    """The arms that make sense with anyone's `train_fn`, those that users registered among them.

    Not those whose trainings differ otherwise: a search of their own (which is
    `find_winning_ticket` with another pipeline), another length, a narrower net, other data, or
    scores in place of weights.
    """
    return {
        name: arm
        for name, arm in ARMS.items()
        if name != TICKET and _is_control(arm) and not trains_scores(name)
    }


def why_no_scores(arm: str) -> str:
    """Why an arm that trains scores is none, and what to do."""
    return (
        f"{arm}: it trains a score for each weight, and train_fn trains weights; use "
        f"lottery_ticket.pruning.MaskScores(model, {ARMS[arm].policy!r}, density=…) in a loop of "
        "your own, or list the arm in a spec"
    )


def trains_scores(arm: str) -> bool:
    """Whether the policy of an arm is one of scores."""
    policy = ARMS[arm].policy if arm in ARMS else None
    return policy is not None and POLICIES[policy].trains_scores


def _is_control(arm: Arm) -> bool:
    has_mask = callable(arm.mask) or arm.mask in _MASKS
    has_weights = callable(arm.weights) or arm.weights in _WEIGHTS
    is_plain = arm.pipeline in (None, "lth", "at_init")
    is_other = arm.mask == "ticket" and arm.weights == "initial"
    return has_mask and has_weights and is_plain and not is_other
