"""The nets between two nets: straight lines through the space of weights, and their barriers; and
nets whose units are put into the order of another's."""

from lottery_ticket.connectivity._align import BY as BY
from lottery_ticket.connectivity._align import Alignment as Alignment
from lottery_ticket.connectivity._align import align as align
from lottery_ticket.connectivity._align import hidden_units as hidden_units
from lottery_ticket.connectivity._distances import angle as angle
from lottery_ticket.connectivity._distances import distance as distance
from lottery_ticket.connectivity._distances import sign_flips as sign_flips
from lottery_ticket.connectivity._path import Along as Along
from lottery_ticket.connectivity._path import LinearPath as LinearPath
from lottery_ticket.connectivity._path import along as along
from lottery_ticket.connectivity._statistics import has_running_statistics as has_running_statistics
from lottery_ticket.connectivity._statistics import refit_statistics_ as refit_statistics_
