"""What a weight is worth: one criterion per file, in a registry."""

from lottery_ticket.criteria import _magnitude as _magnitude
from lottery_ticket.criteria import _random as _random
from lottery_ticket.criteria._registry import CRITERIA as CRITERIA
from lottery_ticket.criteria._registry import Criterion as Criterion
