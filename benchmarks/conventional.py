"""Iterative magnitude pruning of LeNet-300-100 on MNIST, as it is usually written.

An image per item, transforms on it, a `DataLoader`, eager steps, `torch.nn.utils.prune`. This is
what the benchmarks compare with; nothing here is meant to be slow. `tensors` does what those do
whose data fit into memory.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Images(Dataset):
    """uint8 images (N, 28, 28), as torchvision's MNIST gives them with ToTensor and Normalize."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index], mode=None)
        x = torch.from_numpy(np.array(image)).unsqueeze(0).float().div(255)
        return (x - 0.1307) / 0.3081, int(self.labels[index])


def tensors(images):
    """The same images, transformed once."""
    x = torch.from_numpy(images.images).unsqueeze(1).float().div(255)
    return TensorDataset((x - 0.1307) / 0.3081, torch.from_numpy(images.labels))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)

    def forward(self, x):
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


def weights(model):
    return [(layer, "weight") for layer in (model.fc1, model.fc2, model.fc3)]


def train_epoch(model, loader, lr=0.01, momentum=0.9):
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


@torch.no_grad()
def test(model, loader):
    model.eval()
    correct = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return correct / len(loader.dataset)


def imp(train_set, test_set, batch_size, levels, rate, epochs):
    """Both arms, the ticket and its re-initialised control, of every level; their accuracies."""
    train_loader = DataLoader(train_set, batch_size, shuffle=True)
    test_loader = DataLoader(test_set, 1000)
    model = LeNet()
    initial = copy.deepcopy(model.state_dict())
    accuracies = []
    for level in range(levels + 1):
        for _ in range(epochs):
            train_epoch(model, train_loader)
            ticket = test(model, test_loader)
        control = LeNet()
        if level:
            for (layer, name), (masked, _) in zip(weights(control), weights(model), strict=True):
                prune.custom_from_mask(layer, name, masked.weight_mask)
        for _ in range(epochs):
            train_epoch(control, train_loader)
            accuracy = test(control, test_loader)
        accuracies.append((ticket, accuracy))
        if level < levels:
            prune.global_unstructured(
                weights(model), pruning_method=prune.L1Unstructured, amount=rate
            )
            with torch.no_grad():
                for name, value in initial.items():
                    layer, _, kind = name.partition(".")
                    target = getattr(model, layer)
                    where = getattr(target, f"{kind}_orig", None)
                    (getattr(target, kind) if where is None else where).copy_(value)
    return accuracies
