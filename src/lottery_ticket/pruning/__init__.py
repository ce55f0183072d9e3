"""From one level to the next: schedules, pipelines, score, select, rewind."""

from lottery_ticket.masks import check_fraction as check_fraction
from lottery_ticket.pruning._channel_layers import channel_layers as channel_layers
from lottery_ticket.pruning._channel_layers import example_of_given as example_of_given
from lottery_ticket.pruning._gradual import GradualPruner as GradualPruner
from lottery_ticket.pruning._level import next_mask as next_mask
from lottery_ticket.pruning._level import rewind_ as rewind_
from lottery_ticket.pruning._level import rewind_optimizer_ as rewind_optimizer_
from lottery_ticket.pruning._outputs import Example as Example
from lottery_ticket.pruning._outputs import inputs_seen as inputs_seen
from lottery_ticket.pruning._pipeline import PIPELINES as PIPELINES
from lottery_ticket.pruning._pipeline import Pipeline as Pipeline
from lottery_ticket.pruning._pruners import MagnitudePruner as MagnitudePruner
from lottery_ticket.pruning._pruners import Structured24Pruner as Structured24Pruner
from lottery_ticket.pruning._pruners import prune as prune
from lottery_ticket.pruning._schedule import Densities as Densities
from lottery_ticket.pruning._schedule import Iterative as Iterative
from lottery_ticket.pruning._schedule import Polynomial as Polynomial
from lottery_ticket.pruning._schedule import Schedule as Schedule
from lottery_ticket.pruning._schedule import densities as densities
from lottery_ticket.pruning._schedule import iterative as iterative
from lottery_ticket.pruning._schedule import one_shot as one_shot
from lottery_ticket.pruning._schedule import polynomial as polynomial
from lottery_ticket.pruning._schedule import target_sparsity as target_sparsity
