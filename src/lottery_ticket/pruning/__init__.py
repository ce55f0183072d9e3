"""From one level to the next: score, select, rewind."""

from lottery_ticket.pruning._level import next_mask as next_mask
from lottery_ticket.pruning._level import rewind_ as rewind_
