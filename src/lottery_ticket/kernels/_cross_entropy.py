"""Cross-entropy of logits, with its gradient."""

import numpy as np

from lottery_ticket.kernels._compile import compiled

__all__ = ["cross_entropy"]


@compiled
def cross_entropy(logits, classes, gradients):
    """The mean of `log Σ exp(z) − z[class]` over the batch; its gradient goes into `gradients`.

    Args:
        logits: `(classes, batch)` float32.
        classes: `(batch,)` int64.
        gradients: `(classes, batch)` float32, written: `(softmax(z) − onehot) / batch`.
    """
    num_classes, batch = logits.shape
    loss = 0.0
    for b in range(batch):
        largest = logits[0, b]
        for c in range(1, num_classes):
            largest = max(largest, logits[c, b])
        total = np.float32(0)
        for c in range(num_classes):
            gradients[c, b] = np.exp(logits[c, b] - largest)
            total += gradients[c, b]
        loss += np.log(total) + largest - logits[classes[b], b]
        scale = np.float32(1) / (total * np.float32(batch))
        for c in range(num_classes):
            gradients[c, b] *= scale
        gradients[classes[b], b] -= np.float32(1) / np.float32(batch)
    return loss / batch
