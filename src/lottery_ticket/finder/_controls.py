"""Which arms are controls of a search with anyone's training loop."""

from lottery_ticket.arms import ARMS, TICKET, Arm

__all__ = ["controls"]

_MASKS = ("ticket", "shuffled", "random", "oneshot", "inverted", "at_init", "during")
_WEIGHTS = ("initial", "fresh", "fresh_signed", "fresh_scaled", "permuted", "signed_constant")


def controls() -> dict[str, Arm]:
    """The arms that make sense with anyone's `train_fn`, those that users registered among them.

    Not those whose trainings differ otherwise: a search of their own (which is
    `find_winning_ticket` with another pipeline), another length, a narrower net, other data.
    """
    return {name: arm for name, arm in ARMS.items() if name != TICKET and _is_control(arm)}


def _is_control(arm: Arm) -> bool:
    has_mask = callable(arm.mask) or arm.mask in _MASKS
    has_weights = callable(arm.weights) or arm.weights in _WEIGHTS
    is_plain = arm.pipeline in (None, "lth", "at_init")
    is_other = arm.mask == "ticket" and arm.weights == "initial"
    return has_mask and has_weights and is_plain and not is_other
