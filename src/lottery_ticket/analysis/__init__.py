"""Tables of finished trainings, and what they say: one row per level, paired by replicate."""

from lottery_ticket.analysis._means import curve_means as curve_means
from lottery_ticket.analysis._means import input_means as input_means
from lottery_ticket.analysis._means import layer_means as layer_means
from lottery_ticket.analysis._means import overlap_means as overlap_means
from lottery_ticket.analysis._means import sign_statistics as sign_statistics
from lottery_ticket.analysis._metric import ACCURACY as ACCURACY
from lottery_ticket.analysis._metric import LOSS as LOSS
from lottery_ticket.analysis._metric import Metric as Metric
from lottery_ticket.analysis._metric import metric_of as metric_of
from lottery_ticket.analysis._run_tables import RunTables as RunTables
from lottery_ticket.analysis._run_tables import run_tables as run_tables
from lottery_ticket.analysis._statistics import check_one_run as check_one_run
from lottery_ticket.analysis._statistics import level_statistics as level_statistics
from lottery_ticket.analysis._statistics import replicate_means as replicate_means
from lottery_ticket.analysis._summary import summary as summary
from lottery_ticket.analysis._table import ARM_ORDER as ARM_ORDER
from lottery_ticket.analysis._table import as_table as as_table
from lottery_ticket.analysis._table import sort_arms as sort_arms
from lottery_ticket.analysis._text import format_percent as format_percent
from lottery_ticket.analysis._text import still_falling_note as still_falling_note
from lottery_ticket.analysis._text import summary_markdown as summary_markdown
from lottery_ticket.analysis._text import summary_text as summary_text
