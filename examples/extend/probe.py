"""A probe of one's own: how much noise in the inputs a net stands, ticket beside reinit.

lottery run quickstart
lottery probe last under_noise --import examples/extend/probe.py --set sizes=[0.5,1.0]
"""

import torch

from lottery_ticket import register_probe


@register_probe("under_noise")
def under_noise(model, data, generator, sizes=(0.25, 0.5, 1.0)):
    """A row per size: the accuracy on noisy test examples."""
    x, y = data.test.x, data.test.y
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    for size in sizes:
        with torch.no_grad():
            correct = model(x + size * noise).argmax(1) == y
        yield {"metric": "accuracy", "size": size, "value": float(correct.float().mean())}
