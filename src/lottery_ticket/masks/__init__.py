"""Which weights are kept: what is prunable, how many to keep, which ones, and enforcement."""

from lottery_ticket.masks._budget import SCOPES as SCOPES
from lottery_ticket.masks._budget import Budget as Budget
from lottery_ticket.masks._budget import budget_at_densities as budget_at_densities
from lottery_ticket.masks._budget import budget_at_rates as budget_at_rates
from lottery_ticket.masks._budget import num_pruned as num_pruned
from lottery_ticket.masks._enforce import MaskedParameters as MaskedParameters
from lottery_ticket.masks._enforce import has_only_zeros_where_pruned as has_only_zeros_where_pruned
from lottery_ticket.masks._mask import PruningMask as PruningMask
from lottery_ticket.masks._prunable import prunable_parameters as prunable_parameters
from lottery_ticket.masks._prunable import prunable_sizes as prunable_sizes
from lottery_ticket.masks._select import select as select
from lottery_ticket.masks._shuffle import shuffle as shuffle
