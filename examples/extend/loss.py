"""A loss of one's own: the focal loss (Lin et al. 2017), which looks at what is still wrong.

lottery run quickstart --import examples/extend/loss.py --set 'train.loss={focal: {gamma: 1.5}}'
"""

import torch
import torch.nn.functional as F

from lottery_ticket import register_loss


@register_loss("focal", task="classification")
def focal(output, target, gamma: float = 2.0):
    """The mean over the batch of (1 − p)^γ · −log p."""
    log_p = F.log_softmax(output, 1).gather(1, target[:, None]).squeeze(1)
    return (torch.pow(1 - log_p.exp(), gamma) * -log_p).mean()
