"""An optimiser of one's own: Lion (Chen et al. 2023), the sign of a moving average.

    lottery run quickstart --import examples/extend/optimizer.py \
        --set train.optimizer=lion --set train.momentum=null --set train.lr=0.001
"""

import torch

from lottery_ticket import register_optimizer


@register_optimizer("lion")
class Lion(torch.optim.Optimizer):
    """Elementwise, and still where weight, gradient and memory are zero: pruned weights stay so."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                average = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                update = average.lerp(p.grad, 1 - beta1).sign_()
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * update)
                average.lerp_(p.grad, 1 - beta2)
