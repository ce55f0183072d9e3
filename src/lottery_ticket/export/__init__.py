"""A ticket on its way to a service: smaller and faster, with equal outputs."""

from lottery_ticket.export._compact import Compacted as Compacted
from lottery_ticket.export._compact import Widths as Widths
from lottery_ticket.export._compact import compact as compact
from lottery_ticket.export._sparse import Sparse as Sparse
from lottery_ticket.export._sparse import load_sparse as load_sparse
from lottery_ticket.export._sparse import sparse as sparse
