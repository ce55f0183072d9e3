"""A criterion of one's own: weight times gradient, over the inputs that a unit has left.

    lottery run quickstart --import examples/extend/criterion.py \
        --set 'prune.criterion={per_input: {power: 0.5}}'
"""

import torch

from lottery_ticket import register_criterion


@register_criterion("per_input")
def per_input(model, batch, loss, mask, power=1.0):
    """|w · ∂L/∂w| / kept inputs of its unit; what it asks for by name is handed to it."""
    x, y = batch
    loss(model(x), y).backward()
    scores = {}
    for name, kept in mask.items():
        weight = model.get_parameter(name)
        inputs = kept.flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (weight.ndim - 1))
        scores[name] = (weight * weight.grad).abs().detach() / inputs.to(torch.float32) ** power
    return scores
