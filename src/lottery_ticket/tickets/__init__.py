"""Winning tickets as files: a packed mask, where the weights come from, results and provenance."""

from lottery_ticket.tickets._canonical import weights_sha256 as weights_sha256
from lottery_ticket.tickets._origin import ModelOrigin as ModelOrigin
from lottery_ticket.tickets._origin import WeightsOrigin as WeightsOrigin
from lottery_ticket.tickets._origin import versions as versions
from lottery_ticket.tickets._ticket import Ticket as Ticket
