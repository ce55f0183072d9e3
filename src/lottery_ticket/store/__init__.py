"""Content-addressed results: what exists is complete, and nothing finished is ever lost.

Loads neither torch nor the specs, so that listing is quick.
"""

from lottery_ticket.store._answers import Finished as Finished
from lottery_ticket.store._answers import Freed as Freed
from lottery_ticket.store._answers import IndexedCell as IndexedCell
from lottery_ticket.store._copying import Copied as Copied
from lottery_ticket.store._copying import CopyPlan as CopyPlan
from lottery_ticket.store._copying import CopyStep as CopyStep
from lottery_ticket.store._copying import copy_runs as copy_runs
from lottery_ticket.store._copying import plan_copy as plan_copy
from lottery_ticket.store._execution import Execution as Execution
from lottery_ticket.store._files import read_file as read_file
from lottery_ticket.store._files import sha256 as sha256
from lottery_ticket.store._files import store_errors as store_errors
from lottery_ticket.store._label_changes import DamagedLabelWarning as DamagedLabelWarning
from lottery_ticket.store._making import Board as Board
from lottery_ticket.store._making import Claim as Claim
from lottery_ticket.store._making import Desk as Desk
from lottery_ticket.store._notes import Failure as Failure
from lottery_ticket.store._notes import Submission as Submission
from lottery_ticket.store._notes import forgive as forgive
from lottery_ticket.store._notes import note_failure as note_failure
from lottery_ticket.store._notes import read_failures as read_failures
from lottery_ticket.store._notes import read_submission as read_submission
from lottery_ticket.store._notes import submit as submit
from lottery_ticket.store._notes import submitted_runs as submitted_runs
from lottery_ticket.store._notes import take_back_submission as take_back_submission
from lottery_ticket.store._record import CellRecord as CellRecord
from lottery_ticket.store._rows import SCHEMA_VERSION as SCHEMA_VERSION
from lottery_ticket.store._rows import TABLE_COLUMNS as TABLE_COLUMNS
from lottery_ticket.store._rows import correct_rows as correct_rows
from lottery_ticket.store._rows import example_rows as example_rows
from lottery_ticket.store._rows import history_rows as history_rows
from lottery_ticket.store._rows import layer_rows as layer_rows
from lottery_ticket.store._rows import probe_rows as probe_rows
from lottery_ticket.store._rows import rows_of as rows_of
from lottery_ticket.store._rows import table_rows as table_rows
from lottery_ticket.store._rows import versions_text as versions_text
from lottery_ticket.store._run_labels import RunEdit as RunEdit
from lottery_ticket.store._run_labels import RunLabels as RunLabels
from lottery_ticket.store._runs import ProbeRow as ProbeRow
from lottery_ticket.store._runs import RunClaim as RunClaim
from lottery_ticket.store._runs import RunRecord as RunRecord
from lottery_ticket.store._runs import RunRow as RunRow
from lottery_ticket.store._store import Store as Store
from lottery_ticket.store._store import default_store_path as default_store_path
from lottery_ticket.store._store import is_address as is_address
from lottery_ticket.store.local.claims import LockClaim as LockClaim
from lottery_ticket.store.local.desk import LocalDesk as LocalDesk
from lottery_ticket.store.local.format import is_store as is_store
from lottery_ticket.store.local.format import repair as repair
from lottery_ticket.store.local.store import LocalStore as LocalStore
