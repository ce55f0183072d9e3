"""Winning tickets in anyone's model, with anyone's training loop."""

from lottery_ticket.finder._finder import LotteryTicketFinder as LotteryTicketFinder
from lottery_ticket.finder._results import TicketResults as TicketResults
