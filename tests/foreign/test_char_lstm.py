"""An LSTM that says which character comes next."""

import functools

import pytest
import torch
import torch.nn.functional as F
from foreign_search import Task, check_search, check_ticket, searched
from torch import nn

from lottery_ticket.tickets import WeightsOrigin


class NextCharacter(nn.Module):
    def __init__(self, num_characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_characters, 24)
        self.lstm = nn.LSTM(24, 48, num_layers=2, dropout=0.1, batch_first=True)
        self.out = nn.Linear(48, num_characters)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(self.embedding(ids))[0])


def next_loss(model, chunk):
    """A batch is one tensor: neither a pair nor a mapping."""
    return F.cross_entropy(model(chunk[:, :-1]).flatten(0, 1), chunk[:, 1:].flatten())


@pytest.fixture(scope="module")
def language(text):
    chunks, _ = text.chunks(64, 25)
    build = functools.partial(NextCharacter, text.num_characters)
    return Task(build, chunks.split(16), next_loss, epochs=8, lr=1e-2)


@pytest.fixture(scope="module")
def found(language):
    return searched(language)


def test_language_model_has_a_ticket(found, language):
    check_search(language, found)
    recurrent = [f"lstm.weight_{kind}_l{layer}" for layer in (0, 1) for kind in ("ih", "hh")]
    assert list(found.mask) == [*recurrent, "out.weight"]


def test_ticket_of_the_language_model_is_shipped(found, language, tmp_path):
    origin = WeightsOrigin(found.finder.initial_state)
    check_ticket(found, origin, tmp_path / "lstm.ticket.safetensors", language.build)


def writes_pruned_weights(finder, *, train_fn, **given):
    def train(model, mask):
        train_fn(model, mask)
        with torch.no_grad():
            model.out.weight.add_(1e-3)

    return finder.find_winning_ticket(train_fn=train, **given)


def trains_another_model(finder, *, train_fn, **given):
    def train(model, mask):
        train_fn(NextCharacter(model.embedding.num_embeddings), mask)

    return finder.find_winning_ticket(train_fn=train, **given)


def prunes_once(finder, *, pruning_rounds, **given):
    return finder.find_winning_ticket(pruning_rounds=1, **given)


def undoes_the_mask(finder, **given):
    model, mask, results = finder.find_winning_ticket(**given)
    model.load_state_dict(results.search.dense)
    return model, mask, results


def never_learns(finder, *, train_fn, **given):
    def train(model, mask):
        model.requires_grad_(False)
        model.out.requires_grad_(True)
        model.out.weight.requires_grad_(False)
        train_fn(model, mask)
        model.requires_grad_(True)

    return finder.find_winning_ticket(train_fn=train, **given)


@pytest.mark.parametrize(
    "mutant",
    [writes_pruned_weights, trains_another_model, prunes_once, undoes_the_mask, never_learns],
)
def test_other_searches_are_caught(mutant, language):
    with pytest.raises(AssertionError):
        check_search(language, searched(language, mutant))


@pytest.mark.parametrize("origin", ["trained", "reinit"])
def test_tickets_of_other_weights_are_caught(origin, found, language, tmp_path):
    other = found.model if origin == "trained" else language.build()
    with pytest.raises(AssertionError):
        check_ticket(found, WeightsOrigin(other.state_dict()), tmp_path / "lstm", language.build)
