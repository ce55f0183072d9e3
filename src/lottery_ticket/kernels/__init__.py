"""Compiled loops over the kept entries of sparse layers, on the CPU.

Everything here is *feature-major*: an array of activations is `(features, batch)`, so that one
kept weight meets a whole row of the batch, and the inner loops are vector instructions. A pattern
is compressed by rows (CSR): `starts[o] : starts[o + 1]` are the entries of output `o`, `columns`
the inputs they read. Single-threaded, in a fixed order: the same inputs give the same bytes.

Compiled by numba at first use and cached on disk; importing this module imports numba.
"""

from lottery_ticket.kernels._activations import IDENTITY as IDENTITY
from lottery_ticket.kernels._activations import RELU as RELU
from lottery_ticket.kernels._activations import TANH as TANH
from lottery_ticket.kernels._activations import activate as activate
from lottery_ticket.kernels._activations import activation_backward as activation_backward
from lottery_ticket.kernels._chain import linear_chain as linear_chain
from lottery_ticket.kernels._cross_entropy import cross_entropy as cross_entropy
from lottery_ticket.kernels._csr import gather_batch as gather_batch
from lottery_ticket.kernels._csr import input_gradient as input_gradient
from lottery_ticket.kernels._csr import linear as linear
from lottery_ticket.kernels._csr import weight_gradient as weight_gradient
from lottery_ticket.kernels._updates import adam_update as adam_update
from lottery_ticket.kernels._updates import sgd_update as sgd_update
