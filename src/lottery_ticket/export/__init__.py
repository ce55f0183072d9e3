"""Tickets that leave: smaller or faster forms, each checked for equal outputs and measured."""

from lottery_ticket.export._two_four import check_n_m as check_n_m
from lottery_ticket.export._two_four import to_semi_structured as to_semi_structured
