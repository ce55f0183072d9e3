"""What a weight is worth: criteria in a registry; `score` applies them."""

from lottery_ticket.criteria._checks import NaNScoresError as NaNScoresError
from lottery_ticket.criteria._criterion import Criterion as Criterion
from lottery_ticket.criteria._force import force as force
from lottery_ticket.criteria._force import iterative_snip as iterative_snip
from lottery_ticket.criteria._grasp import grasp as grasp
from lottery_ticket.criteria._inverse import inverse as inverse
from lottery_ticket.criteria._random import random as random
from lottery_ticket.criteria._registry import CRITERIA as CRITERIA
from lottery_ticket.criteria._registry import register_criterion as register_criterion
from lottery_ticket.criteria._saliency import saliency as saliency
from lottery_ticket.criteria._score import CriterionLike as CriterionLike
from lottery_ticket.criteria._score import as_criterion as as_criterion
from lottery_ticket.criteria._score import score as score
from lottery_ticket.criteria._sizes import large_init as large_init
from lottery_ticket.criteria._sizes import magnitude as magnitude
from lottery_ticket.criteria._sizes import magnitude_increase as magnitude_increase
from lottery_ticket.criteria._sizes import movement as movement
from lottery_ticket.criteria._sizes import small_final as small_final
from lottery_ticket.criteria._snip import snip as snip
from lottery_ticket.criteria._synflow import synflow as synflow
from lottery_ticket.criteria._unchanged import unchanged as unchanged
