"""Showing how a run goes: bars on a terminal or in a notebook, a line now and then in a log."""

from lottery_ticket.progress._chosen import observer as observer
from lottery_ticket.progress._log import LogObserver as LogObserver
from lottery_ticket.progress._notebook import NotebookObserver as NotebookObserver
from lottery_ticket.progress._terminal import BarObserver as BarObserver
from lottery_ticket.progress._watching import SilentObserver as SilentObserver
from lottery_ticket.progress._words import status_words as status_words
from lottery_ticket.progress._words import time_text as time_text
