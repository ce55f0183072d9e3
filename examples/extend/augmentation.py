"""An augmentation of one's own: noise on every example.

    lottery run quickstart --import examples/extend/augmentation.py \
        --set 'train.augment={noise: {size: 0.2}}'
"""

import torch

from lottery_ticket import register_augmentation


@register_augmentation("noise")
class Noise:
    """Draws on the CPU for a whole epoch, so that every device sees the same."""

    def __init__(self, size: float = 0.1):
        self.size = size

    def draw(self, num_examples, generator):
        return torch.randint(2**31, (num_examples, 1), generator=generator)

    def apply(self, x, draws):
        phases = draws.view(-1, *[1] * (x.ndim - 1)).to(x.dtype)
        places = torch.arange(x[0].numel(), device=x.device).view(1, *x.shape[1:])
        return x + self.size * torch.sin(phases * (places + 1))
