"""Winning tickets in anyone's model, with anyone's training loop."""

from lottery_ticket.finder._finder import LotteryTicketFinder as LotteryTicketFinder
from lottery_ticket.finder._keeping import code_of as code_of
from lottery_ticket.finder._levels import FitStart as FitStart
from lottery_ticket.finder._levels import Levels as Levels
from lottery_ticket.finder._results import TicketResults as TicketResults
