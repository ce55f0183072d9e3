"""Data sets that are no float tensor, and models that read them: what a user registers."""

from dataclasses import dataclass

import torch
from torch import nn

from lottery_ticket.data import DataSet, Split, content_digest, register_dataset
from lottery_ticket.models import register_model

VOCABULARY, LENGTH = 12, 6


def _ids(count, seed):
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(VOCABULARY, (count, LENGTH), generator=stream)


def _data_set(name, split_of, num_classes):
    train, test = split_of(200, 0), split_of(80, 1)
    flat = {f"{part}.{i}": x for part, split in (("train", train), ("test", test))
            for i, x in enumerate([*_tensors(split.x), split.y])}  # fmt: skip
    digest = content_digest(flat)
    return DataSet(name, train, None, test, "classification", num_classes, digest)


def _tensors(x):
    return [x] if isinstance(x, torch.Tensor) else list(x.values())


@register_dataset("tokens")
def tokens(data_dir):
    """Whether the first token is among the later ones."""

    def split(count, seed):
        ids = _ids(count, seed)
        return Split(ids, (ids[:, :1] == ids[:, 1:]).any(1).long())

    return _data_set("tokens", split, 2)


@register_dataset("masked-tokens")
def masked_tokens(data_dir):
    """The same, of as many tokens as the mask says."""

    def split(count, seed):
        ids, lengths = _ids(count, seed), torch.arange(count) % (LENGTH - 2) + 3
        mask = torch.arange(LENGTH)[None] < lengths[:, None]
        return Split({"ids": ids, "mask": mask}, ((ids == ids[:, :1]) & mask).sum(1).gt(1).long())

    return _data_set("masked-tokens", split, 2)


@register_dataset("next-token")
def next_token(data_dir):
    """At each place the token that follows: one more than this."""

    def split(count, seed):
        ids = _ids(count, seed)
        return Split(ids, (ids + 1) % VOCABULARY)

    return _data_set("next-token", split, VOCABULARY)


@register_model("bag")
class Bag(nn.Module):
    def __init__(self, num_classes: int = 2, width: int = 16):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.hidden = nn.Linear(LENGTH * width, 24)
        self.head = nn.Linear(24, num_classes)

    def forward(self, ids):
        return self.head(self.hidden(self.embedding(ids).flatten(1)).relu())


@dataclass
class Output:
    """As models of Hugging Face return it."""

    logits: torch.Tensor


@register_model("masked-bag")
class MaskedBag(Bag):
    def forward(self, ids, mask):
        kept = self.embedding(ids) * mask[:, :, None]
        return Output(self.head(self.hidden(kept.flatten(1)).relu()))


@register_model("per-token")
class PerToken(nn.Module):
    """Logits (N, classes, T)."""

    def __init__(self, num_classes: int = VOCABULARY):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.head = nn.Linear(16, num_classes)

    def forward(self, ids):
        return self.head(self.embedding(ids)).transpose(1, 2)
