"""Pruned models on their way to a service: written, compared with the original, and measured."""

from lottery_ticket.export._export import Exported as Exported
from lottery_ticket.export._export import ExportedFile as ExportedFile
from lottery_ticket.export._export import export as export
from lottery_ticket.export._format import Format as Format
from lottery_ticket.export._formats import FORMATS as FORMATS
from lottery_ticket.export._pruned_model import PrunedModel as PrunedModel
from lottery_ticket.export._state_dict import read_packed as read_packed
from lottery_ticket.export._stored import stored_model as stored_model
