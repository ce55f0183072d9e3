"""A user's model, training loop and evaluation, on real digits."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

_digits = load_digits()
X = torch.from_numpy(_digits.data).float() / 16
Y = torch.from_numpy(_digits.target)
NUM_TRAIN = 1200


def net():
    return nn.Sequential(nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 10))


class Loop:
    """`train_fn` and `eval_fn`, with a note of every call."""

    def __init__(self, epochs=2, lr=0.1, momentum=0.9):
        self.epochs, self.lr, self.momentum = epochs, lr, momentum
        self.calls = []

    def train(self, model, mask):
        self.calls.append(
            ({n: p.detach().clone() for n, p in model.named_parameters()}, mask.num_kept)
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum)
        model.train()
        for _ in range(self.epochs):
            for rows in torch.randperm(NUM_TRAIN).split(100):
                optimizer.zero_grad()
                F.cross_entropy(model(X[rows]), Y[rows]).backward()
                optimizer.step()

    @torch.no_grad()
    def accuracy(self, model):
        model.eval()
        return (model(X[NUM_TRAIN:]).argmax(1) == Y[NUM_TRAIN:]).float().mean().item()


STEPS_PER_EPOCH = NUM_TRAIN // 100
