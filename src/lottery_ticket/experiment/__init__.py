"""The experiment engine: what it names, its cells, planning them, running them; see README.md."""

from lottery_ticket.experiment.cells.cell import WEIGHTS as WEIGHTS
from lottery_ticket.experiment.cells.cell import Cell as Cell
from lottery_ticket.experiment.cells.kinds import KINDS as KINDS
from lottery_ticket.experiment.cells.making import Pace as Pace
from lottery_ticket.experiment.cells.mask import remade_mask as remade_mask
from lottery_ticket.experiment.cells.progress import Progress as Progress
from lottery_ticket.experiment.cells.progress import read_progress as read_progress
from lottery_ticket.experiment.cells.train import TrainCell as TrainCell
from lottery_ticket.experiment.objects.build import inspect_inputs as inspect_inputs
from lottery_ticket.experiment.objects.code import check_registered as check_registered
from lottery_ticket.experiment.objects.initial import change_by_arm_ as change_by_arm_
from lottery_ticket.experiment.objects.initial import drawn_model as drawn_model
from lottery_ticket.experiment.objects.initial import permute_kept_ as permute_kept_
from lottery_ticket.experiment.objects.initial import recorded_initial as recorded_initial
from lottery_ticket.experiment.objects.initial import recorded_model as recorded_model
from lottery_ticket.experiment.objects.initial import (
    scale_to_kept_inputs_ as scale_to_kept_inputs_,
)
from lottery_ticket.experiment.objects.initial import signed_constant_ as signed_constant_
from lottery_ticket.experiment.objects.initial import signs_of_ as signs_of_
from lottery_ticket.experiment.objects.inputs import Inputs as Inputs
from lottery_ticket.experiment.objects.probes import PROBES as PROBES
from lottery_ticket.experiment.objects.probes import register_probe as register_probe
from lottery_ticket.experiment.objects.run_data import run_data as run_data
from lottery_ticket.experiment.objects.run_data import run_spec as run_spec
from lottery_ticket.experiment.objects.user_code import import_user_code as import_user_code
from lottery_ticket.experiment.objects.user_code import sent_by_value as sent_by_value
from lottery_ticket.experiment.planning.plan import Plan as Plan
from lottery_ticket.experiment.planning.plan import Work as Work
from lottery_ticket.experiment.planning.plan import plan as plan
from lottery_ticket.experiment.running.context import Context as Context
from lottery_ticket.experiment.running.device import available_devices as available_devices
from lottery_ticket.experiment.running.device import num_devices as num_devices
from lottery_ticket.experiment.running.device import resolve_device as resolve_device
from lottery_ticket.experiment.running.estimate import estimated_seconds as estimated_seconds
from lottery_ticket.experiment.running.execute import Outcome as Outcome
from lottery_ticket.experiment.running.execute import execute as execute
from lottery_ticket.experiment.running.group import group_size as group_size
from lottery_ticket.experiment.running.observer import Observer as Observer
from lottery_ticket.experiment.running.observer import RunOutcome as RunOutcome
from lottery_ticket.experiment.running.probing import Asked as Asked
from lottery_ticket.experiment.running.probing import probe_run as probe_run
from lottery_ticket.experiment.running.probing import probe_work as probe_work
from lottery_ticket.experiment.running.rederive import rederive as rederive
from lottery_ticket.experiment.running.run import finished_cells as finished_cells
from lottery_ticket.experiment.running.run import run_plan as run_plan
from lottery_ticket.experiment.running.stored import read_mask as read_mask
from lottery_ticket.experiment.running.stored import read_weights as read_weights
