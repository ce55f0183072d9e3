"""Lightning: a callback that holds a mask or finds a ticket, and a Trainer for the finder."""

from lottery_ticket.integrations.lightning._callback import (
    LotteryTicketCallback as LotteryTicketCallback,
)
from lottery_ticket.integrations.lightning._functions import (
    lightning_functions as lightning_functions,
)
from lottery_ticket.integrations.lightning._library import check_version as check_version
