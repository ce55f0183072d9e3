"""What must hold of a search in any model, and of the file that ships its ticket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lottery_ticket import LotteryTicketFinder
from lottery_ticket.masks import PruningMask
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin

__all__ = ["Found", "Task", "check_search", "check_ticket", "searched"]


@dataclass(frozen=True)
class Task:
    """A model that this library did not design, and how its users train it.

    Args:
        build: makes the model.
        batches: of whatever form.
        loss_of: (model, batch) → loss.
        epochs: how often a training goes through the batches.
        lr: learning rate of AdamW.
    """

    build: Callable[[], nn.Module]
    batches: Sequence[Any]
    loss_of: Callable[[nn.Module, Any], torch.Tensor]
    epochs: int
    lr: float

    def train(self, model: nn.Module, mask: PruningMask) -> list[float]:
        """The losses of the steps; the mask holds after each."""
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.lr)
        model.train()
        losses = []
        for _ in range(self.epochs):
            for batch in self.batches:
                optimizer.zero_grad()
                loss = self.loss_of(model, batch)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.item())
                assert has_zeros(model, mask)
        return losses

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> float:
        """The mean loss in evaluation mode."""
        model.eval()
        return sum(self.loss_of(model, batch).item() for batch in self.batches) / len(self.batches)


def has_zeros(model: nn.Module, mask: PruningMask) -> bool:
    return not any(bool(model.get_parameter(n)[~kept].any()) for n, kept in mask.items())


@dataclass
class Found:
    """What a search gave, and the losses of each of its trainings."""

    finder: LotteryTicketFinder
    model: nn.Module
    mask: PruningMask
    losses: list[list[float]] = field(default_factory=list)


def searched(task: Task, find=LotteryTicketFinder.find_winning_ticket, **given: Any) -> Found:
    """Dense and two rounds, to a quarter of the weights; `given` beside the defaults."""
    names = ("model_class", "model_kwargs", "targets", "ignore")
    options = {name: given.pop(name) for name in names if name in given}
    if "model_class" not in options:
        options["model_fn"] = task.build
    losses: list[list[float]] = []
    finder = LotteryTicketFinder(mode="min", **options)
    model, mask, _ = find(
        finder,
        train_fn=lambda model, mask: losses.append(task.train(model, mask)),
        eval_fn=task.evaluate,
        **{"target_sparsity": 0.75, "pruning_rounds": 2, "verbose": False, **given},
    )
    return Found(finder, model, mask, losses)


def check_search(task: Task, found: Found) -> None:
    """Every training learns under its mask, and ends as the results say."""
    results, mask = found.finder.results, found.mask
    size = mask.num_prunable
    assert results.is_valid, results.problems
    assert [row.num_kept for row in results.rows] == [size, (size + 1) // 2, (size + 2) // 4]
    for losses in found.losses:
        num = len(task.batches)
        assert sum(losses[-num:]) < 0.88 * sum(losses[:num]), "nothing is learnt"
    assert has_zeros(found.model, mask)
    assert task.evaluate(found.model) == results.ticket
    trained = found.model.state_dict()
    assert all(bool(trained[name][kept].all()) for name, kept in mask.items()), "more is zero"


def check_ticket(found: Found, origin: WeightsOrigin | ModelOrigin, path: Path, fresh) -> Ticket:
    """Saved and loaded, it makes fresh models the ticket: θ₀ ⊙ mask, or trained."""
    finder, mask = found.finder, found.mask
    ticket = Ticket(mask, origin, {"loss": finder.results.ticket}, trained=found.model.state_dict())
    ticket.save(path)
    loaded = Ticket.load(path)
    assert loaded == ticket
    assert loaded.mask == mask
    assert loaded.to_bytes() == path.read_bytes()
    assert loaded.metrics == {"loss": finder.results.ticket}
    model = fresh()
    assert loaded.apply(model) is model
    check_same(model.state_dict(), finder.initial_state, under_all_names(found.model, mask))
    check_same(loaded.apply(fresh(), trained=True).state_dict(), found.model.state_dict(), {})
    return loaded


def under_all_names(model: nn.Module, mask: PruningMask) -> dict[str, torch.Tensor]:
    """A tied parameter has one mask, and several names in a `state_dict`."""
    places = {id(model.get_parameter(name)): kept for name, kept in mask.items()}
    parameters = model.named_parameters(remove_duplicate=False)
    return {name: places[id(value)] for name, value in parameters if id(value) in places}


def check_same(state, wanted, mask) -> None:
    """`state` is wanted ⊙ mask to the bit, of positive zeros; tied parameters under each name."""
    assert list(state) == list(wanted)
    for name, value in state.items():
        expected = wanted[name].clone()
        if name in mask:
            expected[~mask[name]] = 0.0
        assert value.detach().numpy().tobytes() == expected.numpy().tobytes(), name
