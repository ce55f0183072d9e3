"""The table of policies: masks that change during a training, as an experiment asks for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from lottery_ticket.criteria import CriterionLike
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Budget, MaskPolicy
from lottery_ticket.registry import Registry

__all__ = ["POLICIES", "PolicyKind", "Target", "made_policy", "register_policy"]


@dataclass(frozen=True)
class Target:
    """What a training with a policy is to end with.

    Args:
        keep: weights, of all layers together or of each.
        num_prunable: weights in all.
        first_step, last_step: the training's.
        criterion, scope: the experiment's.
    """

    keep: Budget
    num_prunable: int
    first_step: int
    last_step: int
    criterion: CriterionLike = "magnitude"
    scope: str = "global"

    def check_step(self, name: str, step: int) -> None:
        """Raise `UsageError` for a step that the training does not reach."""
        if not self.first_step <= step <= self.last_step:
            raise UsageError(
                f"{name}: got {step}, wanted a step of the training, {self.first_step} to "
                f"{self.last_step}"
            )


PolicyFactory = Callable[..., MaskPolicy]


class PolicyKind(NamedTuple):
    """How a policy is made, `(target, **options) → policy`; whether it scores by the target's
    criterion, which then may need nothing but weights; and whether it is a `ScorePolicy`."""

    make: PolicyFactory
    uses_criterion: bool = True
    trains_scores: bool = False


POLICIES: Registry[PolicyKind] = Registry(
    "policy",
    "; one of your own is registered with --import FILE.py",
    code=lambda kind: (kind.make,),
)
"""The policies by name."""

_Made = TypeVar("_Made", bound=PolicyFactory)


def register_policy(name: str, *, uses_criterion: bool = True) -> Callable[[_Made], _Made]:
    """Decorator that lets arms have a policy of one's own: `register_arm(…, policy=name)`.

    Args:
        name: what arms call it.
        uses_criterion: whether it scores by the experiment's criterion. It is refused, then, where
            that needs more than weights.

    Returns:
        A decorator for a function or a class `(target, …) → MaskPolicy`; what it takes beside the
        target are its options. A training must end with as many weights as `target.keep` says.

    Raises:
        UsageError: the name is taken.
    """

    def file(make: _Made) -> _Made:
        POLICIES.add(name, PolicyKind(make, uses_criterion), is_user=True)
        return make

    return file


def made_policy(name: str, target: Target, options: Mapping[str, Any]) -> MaskPolicy:
    """The policy of a name, for one training.

    Raises:
        UsageError: an option makes no sense, or it makes no policy.
    """
    try:
        made = POLICIES[name].make(target, **options)
    except UsageError as error:
        raise UsageError(f"policy {name!r}: {error}") from error
    except Exception as error:  # a user's own may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UsageError(f"policy {name!r} cannot be made: {reason}") from error
    if not isinstance(made, MaskPolicy):
        raise UsageError(f"policy {name!r}: got a {type(made).__name__}, wanted a MaskPolicy")
    return made
