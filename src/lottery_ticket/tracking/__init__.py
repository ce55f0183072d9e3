"""Telling how a run goes: to trackers of experiments, and to people's own functions."""

from lottery_ticket.tracking._files import TICKET_FILE as TICKET_FILE
from lottery_ticket.tracking._files import run_files as run_files
from lottery_ticket.tracking._hooks import Hook as Hook
from lottery_ticket.tracking._hooks import Hooks as Hooks
from lottery_ticket.tracking._listeners import Listeners as Listeners
from lottery_ticket.tracking._listeners import track_finished as track_finished
from lottery_ticket.tracking._record import Record as Record
from lottery_ticket.tracking._record import level_record as level_record
from lottery_ticket.tracking._record import stored_records as stored_records
from lottery_ticket.tracking._story import Call as Call
from lottery_ticket.tracking._story import Story as Story
from lottery_ticket.tracking._telling import Files as Files
from lottery_ticket.tracking._telling import Telling as Telling
from lottery_ticket.tracking._tracked import TrackedRun as TrackedRun
from lottery_ticket.tracking._tracked import flat as flat
from lottery_ticket.tracking._tracked import whole_run as whole_run
from lottery_ticket.tracking._tracker import TRACKERS as TRACKERS
from lottery_ticket.tracking._tracker import Named as Named
from lottery_ticket.tracking._tracker import Tracker as Tracker
from lottery_ticket.tracking._tracker import chosen_trackers as chosen_trackers
from lottery_ticket.tracking._tracker import register_tracker as register_tracker
