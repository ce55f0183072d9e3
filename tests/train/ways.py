"""Training by autograd, with whatever masks the gradients."""

from lottery_ticket.train import AutogradStep, train


def train_by_autograd(state, batches, *, loss, masked=None, clip_norm=None, **arguments):
    step = AutogradStep(
        state.model, state.optimizer, masked, batches, loss=loss, clip_norm=clip_norm
    )
    train(state, step, batches, loss=loss, **arguments)
