"""A mask at work in a training of anyone's: hooks that hold zeros, count steps and can be undone.

`_attachment.py` is what `PruningMask.attach` returns. It knows which optimisers to count
(`_followed.py`, `_optimizers.py`) and what a checkpoint needs (`_state.py`). The zeros are
`_held.py`'s, which looks before and after each step (`_watch.py`, `_looks.py`) at the parameters
that have a mark (`_marked.py`, `_marks.py`): where they are now (`_present.py`), at what their
pruned weights rest (`_rest.py`), and how their gradients are masked (`_gradients.py`). `_undo.py`
takes back an attach that failed, `_aside.py` what was zeroed by another mask than a checkpoint's.
"""

from lottery_ticket.masks.attachment._attachment import Attachment as Attachment
from lottery_ticket.masks.attachment._optimizers import torch_optimizer as torch_optimizer
from lottery_ticket.masks.attachment._present import check_can_be_held as check_can_be_held
from lottery_ticket.masks.attachment._present import is_zero_where_pruned as is_zero_where_pruned
from lottery_ticket.masks.attachment._present import present_parameters as present_parameters
from lottery_ticket.masks.attachment._state import RewindPoint as RewindPoint
from lottery_ticket.masks.attachment._state import copied_to_cpu as copied_to_cpu
from lottery_ticket.masks.attachment._undo import Undo as Undo
