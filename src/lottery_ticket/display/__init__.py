"""What a notebook shows of the library's values: a row of `SHOWN` for each kind of value.

Functions here make strings of HTML from values, and read nothing but their public names.
"""

from lottery_ticket.display._shown import SHOWN as SHOWN
from lottery_ticket.display._shown import html_of as html_of
