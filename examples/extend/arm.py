"""An arm of one's own: the ticket with the sign of every tenth kept weight flipped.

lottery run quickstart --import examples/extend/arm.py --set 'arms=[ticket, reinit, flipped]'
"""

import torch

from lottery_ticket import register_arm


@torch.no_grad()
def flip_signs(model, mask, generator):
    """Change the model at θ₀ in place."""
    for name, kept in mask.items():
        chosen = kept & (torch.rand(kept.shape, generator=generator) < 0.1)
        model.get_parameter(name)[chosen] *= -1


register_arm(
    "flipped",
    mask="ticket",
    weights=flip_signs,
    has_draws=True,
    meaning="A control: the ticket, but the signs of a tenth of its weights are flipped.",
    shows="the last tenth of the signs",
    color="#AA4499",
    marker="P",
)
