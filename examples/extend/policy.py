"""A policy of one's own: as SET (Mocanu et al. 2018), but over all layers together.

lottery run quickstart --import examples/extend/policy.py --set 'arms=[ticket, reinit, rewired]'
"""

import torch

from lottery_ticket import MaskPolicy, register_arm, register_policy


@register_policy("rewired", uses_criterion=False)
class Rewired(MaskPolicy):
    def __init__(self, target, every_steps: int = 10, share: float = 0.3):
        self.keep, self.every, self.share = target.keep.total, every_steps, share

    def is_due(self, step):
        return step % self.every == 0

    def next_mask(self, moment):
        weights = torch.cat([w.abs().flatten() for w in moment.weights.values()])
        kept = torch.cat([kept.flatten() for kept in moment.mask.values()])
        num_staying = int((1 - self.share) * self.keep) if moment.step else 0
        luck = torch.rand(len(weights), generator=moment.generator)
        luck[weights.masked_fill(~kept, -1).topk(num_staying).indices] = 2.0
        mask = torch.zeros_like(kept).index_fill(0, luck.topk(self.keep).indices, True)
        parts = iter(mask.split([w.numel() for w in moment.weights.values()]))
        return {name: next(parts).view_as(w) for name, w in moment.weights.items()}


register_arm("rewired", mask="during", policy="rewired", meaning="Sparse all along, rewired.")
