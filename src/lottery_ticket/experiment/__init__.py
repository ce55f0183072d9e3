"""The experiment engine: plan → build → execute → run."""

from lottery_ticket.experiment._build import inspect_inputs as inspect_inputs
from lottery_ticket.experiment._cell import Cell as Cell
from lottery_ticket.experiment._context import KEEP as KEEP
from lottery_ticket.experiment._context import Context as Context
from lottery_ticket.experiment._device import available_devices as available_devices
from lottery_ticket.experiment._device import num_devices as num_devices
from lottery_ticket.experiment._device import resolve_device as resolve_device
from lottery_ticket.experiment._estimate import estimated_seconds as estimated_seconds
from lottery_ticket.experiment._execute import Outcome as Outcome
from lottery_ticket.experiment._execute import execute as execute
from lottery_ticket.experiment._group import group_size as group_size
from lottery_ticket.experiment._mask_cell import read_mask as read_mask
from lottery_ticket.experiment._observer import Observer as Observer
from lottery_ticket.experiment._observer import RunOutcome as RunOutcome
from lottery_ticket.experiment._plan import Plan as Plan
from lottery_ticket.experiment._plan import plan as plan
from lottery_ticket.experiment._progress import Progress as Progress
from lottery_ticket.experiment._progress import read_progress as read_progress
from lottery_ticket.experiment._run import finished_cells as finished_cells
from lottery_ticket.experiment._run import run_plan as run_plan
from lottery_ticket.experiment._setting import Inputs as Inputs
from lottery_ticket.experiment._user_code import import_user_code as import_user_code
