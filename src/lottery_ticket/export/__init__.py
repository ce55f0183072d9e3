"""Pruned models on their way to a service: written, compared with the original, and measured."""

import typing

from lottery_ticket.export._export import Exported as Exported
from lottery_ticket.export._export import ExportedFile as ExportedFile
from lottery_ticket.export._export import export as export
from lottery_ticket.export._format import Format as Format
from lottery_ticket.export._formats import FORMATS as FORMATS
from lottery_ticket.export._pruned_model import PrunedModel as PrunedModel
from lottery_ticket.export._seed import load_seed as load_seed
from lottery_ticket.export._seed import read_seed as read_seed
from lottery_ticket.export._state_dict import read_packed as read_packed
from lottery_ticket.export._stored import stored_model as stored_model
from lottery_ticket.export.compaction.compact import Compacted as Compacted
from lottery_ticket.export.compaction.compact import Widths as Widths
from lottery_ticket.export.compaction.compact import compact as compact
from lottery_ticket.export.measuring.flops import count_flops as count_flops
from lottery_ticket.export.measuring.measure import measure as measure
from lottery_ticket.export.measuring.measured import Measured as Measured
from lottery_ticket.export.sparse_nets.net import Sparse as Sparse
from lottery_ticket.export.sparse_nets.net import load_sparse as load_sparse
from lottery_ticket.export.sparse_nets.net import sparse as sparse
from lottery_ticket.export.sparse_nets.two_four import check_n_m as check_n_m
from lottery_ticket.export.sparse_nets.two_four import to_semi_structured as to_semi_structured

if typing.TYPE_CHECKING:
    from lottery_ticket.export._hub import HubModel as HubModel


def __getattr__(name: str) -> object:
    """`HubModel` is loaded when it is first used, since it needs the extra `hub`."""
    if name != "HubModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lottery_ticket.export._hub import HubModel

    return HubModel
