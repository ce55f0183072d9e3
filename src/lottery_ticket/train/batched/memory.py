"""How much memory a training takes, counted from one step on a few examples."""

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lottery_ticket.data import Features, Split, each, tensors_of
from lottery_ticket.masks import copied_model
from lottery_ticket.process import random_state_kept
from lottery_ticket.train._call import called
from lottery_ticket.train._evaluate import EVALUATED_TOGETHER
from lottery_ticket.train._losses import Loss

__all__ = ["can_be_stacked", "training_bytes"]

_EXAMPLES = 2
_COPIES_OF_WEIGHTS = 5  # weights, gradients, two moments, bits of the mask


def training_bytes(
    model: nn.Module,
    loss: Loss,
    split: Split,
    batch_size: int,
    *,
    evaluated_together: int = EVALUATED_TOGETHER,
) -> int:
    """The bytes that training a model in batches takes at its peak, as an upper bound.

    Five copies of the weights, and twice what the backward pass needs of a batch: the values that
    autograd keeps, and their gradients. Counted in float32, on any device.

    Args:
        model: the model; it is left as it was.
        loss: (output, target) → mean loss.
        split: the examples.
        batch_size: examples per step.
        evaluated_together: examples that go through the model at once when it is measured.

    >>> from lottery_ticket.train import LOSSES
    >>> split = Split(torch.zeros(8, 4), torch.zeros(8, dtype=torch.int64))
    >>> training_bytes(nn.Linear(4, 3), LOSSES["cross_entropy"], split, 4) > 5 * 4 * 15
    True
    """
    model = copied_model(model).train()
    own = {value.untyped_storage().data_ptr() for value in model.state_dict().values()}
    kept: dict[int, int] = {}

    def note(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    few = split.first(_EXAMPLES)
    x, y = each(few.x, torch.clone), few.y.clone()
    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda value: value)
    with random_state_kept(), hooks:
        value = loss(called(model, x), y)  # alive here, so that no two storages lie at one place
    read = sum(part.nbytes for part in tensors_of(x))
    per_example = (sum(kept.values()) + read) // len(y)
    del value
    weights = sum(value.nbytes for value in model.state_dict().values())
    return _COPIES_OF_WEIGHTS * weights + 2 * max(batch_size, evaluated_together) * per_example


def can_be_stacked(model: nn.Module, x: Features) -> bool:
    """Whether several such models can be trained as one (`train_together`).

    Not those that draw random numbers, as dropout does, nor those whose code changes tensors in
    ways that `torch.func.vmap` does not know, as spectral_norm does. All is left as it was.

    >>> can_be_stacked(nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5)), torch.ones(2, 3))
    False
    >>> can_be_stacked(nn.Linear(3, 1), torch.ones(2, 3))
    True
    """
    pair = [copied_model(model).train() for _ in range(2)]
    with random_state_kept(), torch.no_grad():
        try:
            state = stack_module_state(pair)
            few = each(x, lambda value: value[:_EXAMPLES])
            given = ((few,), {}) if isinstance(few, torch.Tensor) else ((), dict(few))
            run = vmap(functional_call, in_dims=(None, 0, None, None), randomness="error")
            run(pair[0], state, *given)
        except Exception:  # what vmap cannot do raises this or that, and it is a user's own code
            return False
    return True
