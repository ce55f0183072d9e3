"""Tables of finished trainings, and what they say: one row per level, paired by replicate."""

from ._metric import ACCURACY as ACCURACY
from ._metric import LOSS as LOSS
from ._metric import Metric as Metric
from ._metric import metric_of as metric_of
from ._statistics import check_one_run as check_one_run
from ._statistics import level_statistics as level_statistics
from ._statistics import replicate_means as replicate_means
from ._summary import summary as summary
from ._table import ARM_ORDER as ARM_ORDER
from ._table import SCHEMA_VERSION as SCHEMA_VERSION
from ._table import TABLE_COLUMNS as TABLE_COLUMNS
from ._table import as_table as as_table
from ._table import sort_arms as sort_arms
from ._text import format_percent as format_percent
from ._text import summary_markdown as summary_markdown
from ._text import summary_text as summary_text
