"""Hugging Face's `Trainer`: a mask or a policy held in a training, a ticket found over several.

Needs the extra `hf`: `pip install 'lottery-ticket[hf]'`.
"""

from lottery_ticket.extras import check_extra

check_extra("hf", "lottery_ticket.integrations.transformers")  # said before anything is imported

from lottery_ticket.integrations.transformers._callback import (  # noqa: E402
    PruningCallback as PruningCallback,
)
from lottery_ticket.integrations.transformers._search import (  # noqa: E402
    trainer_functions as trainer_functions,
)
