"""Readers of masks and tickets."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

from fuzz import bombs
from fuzz.formats import (
    in_pickle,
    in_safetensors,
    in_zip,
    sections,
    with_other_tensors,
    with_seal,
)
from fuzz.reader import Reader, Write
from lottery_ticket.masks import Budget, PruningMask, select
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin, weights_sha256

__all__ = ["READERS"]


def random_mask(model: nn.Module, num_kept: int) -> PruningMask:
    """A mask of a model, by chance."""
    stream = torch.Generator().manual_seed(0)
    ones = PruningMask(model)
    scores = {name: torch.rand(kept.shape, generator=stream) for name, kept in ones.items()}
    return select(scores, ones, Budget(num_kept))


def normed() -> nn.Module:
    """A net with biases and buffers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
        net(torch.randn(8, 1, 8, 8))
    return net


def masks_of(found: PruningMask) -> list[tuple[str, torch.Tensor]]:
    """A mask as plain tensors, in its order."""
    assert repr(found)
    return list(found.items())


def are_masks(value: Any) -> bool:
    """Whether it is a mask and nothing else."""
    return all(type(n) is str and t.dtype == torch.bool for n, t in value)


ODD_MASKS = {
    "w": torch.tensor([[True, False, True], [False, True, True]]),
    "über.空": torch.zeros(3, 0, dtype=torch.bool),
    "number": torch.tensor(True),
    "many": torch.arange(1000) % 7 == 0,
    "": torch.ones(1, 1, 1, 1, 1, dtype=torch.bool),
}


def mask_reader(name: str, **more: Any) -> Reader:
    """A file of `PruningMask.save`."""
    return Reader(
        {
            "net": lambda folder: random_mask(normed(), 90).save(folder / name),
            "odd": lambda folder: PruningMask.from_tensors(ODD_MASKS).save(folder / name),
            "empty": lambda folder: PruningMask.from_tensors({}).save(folder / name),
        },
        lambda folder: masks_of(PruningMask.from_file(folder / name)),
        (name,),
        is_right=are_masks,
        **more,
    )


def old_pt(folder: Path) -> None:
    """A mask as torch before 1.6 wrote it."""
    (folder / "mask.pt").write_bytes(bombs.saved_old({"w": torch.tensor([True, False])}))


def pt_reader() -> Reader:
    """A mask in torch's own format."""
    row = mask_reader(
        "mask.pt",
        mutations=(in_zip(in_pickle, ".pkl"), in_zip(in_pickle, ".pkl"), in_pickle),
        bombs=bombs.plain_masks(),
    )
    views = {"v_mask": torch.ones(1).expand(3, 4), "w.mask": torch.eye(4)[1:].t()}
    more = {
        "old": old_pt,
        "views": lambda folder: torch.save(views, folder / "mask.pt"),
        "parameters": lambda folder: torch.save(
            nn.Linear(2, 2)
            .requires_grad_(False)
            .apply(lambda m: [p.fill_(1) for p in m.parameters()])
            .state_dict(),
            folder / "mask.pt",
        ),
    }
    return Reader(
        {**row.examples, **more},
        row.read,
        row.targets,
        row.mutations,
        row.bombs,
        is_right=are_masks,
    )


SMALL = {"input_size": 12, "num_classes": 3, "hidden": [8, 5]}
METRICS = {"test_accuracy": 0.5, "seed": 3}


def drawn_ticket() -> Ticket:
    """By a model's name and a seed."""
    origin = ModelOrigin.of("LeNet300", 7, **SMALL)
    return Ticket(random_mask(origin.architecture(), 40), origin, METRICS)


def stored_ticket(weights: str, *, is_trained: bool = False) -> Ticket:
    """By its tensors."""
    net = normed()
    mask = random_mask(net, 100)
    origin = WeightsOrigin(net.state_dict(), step=500, weights=weights)
    ticket = Ticket(mask, origin, METRICS)
    if not is_trained:
        return ticket
    return Ticket(mask, origin, METRICS, trained=ticket.weights())


def odd_ticket() -> Ticket:
    """Empty, unnamed and foreign."""
    tensors = {name: mask.float() for name, mask in ODD_MASKS.items()}
    more = {"scale": torch.tensor(2.5), "none": torch.zeros(0), "half": torch.ones(2).half()}
    origin = WeightsOrigin({**tensors, **more}, model="ü", options={"ключ": [None, 1e-300]})
    return Ticket(PruningMask.from_tensors(ODD_MASKS), origin, {"Ω": True})


def saving(make: Callable[[], Any], name: str) -> Write:
    """Writes what `make` makes."""
    return lambda folder: make().save(folder / name)


def read_ticket(folder: Path) -> Any:
    """All that a ticket says."""
    found = Ticket.load(folder / "t.ticket.safetensors")
    origin = {key: value for key, value in vars(found.origin).items() if key != "tensors"}
    stored = getattr(found.origin, "tensors", {})
    return [
        masks_of(found.mask),
        origin,
        dict(stored),
        found.metrics,
        found.provenance,
        found.trained,
        repr(found),
    ]


def sealed_ticket(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bytes:
    """A ticket with a right checksum, by the format's description alone."""
    header.pop("sha256", None)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    checksum = hashlib.sha256(f"{text}\n{weights_sha256(tensors)}".encode()).hexdigest()
    return save(tensors, {"ticket": json.dumps({**header, "sha256": checksum})})


def reseal_ticket(data: bytes) -> bytes:
    """The same file with a right checksum."""
    header = json.loads(json.loads(sections(data)[0])["__metadata__"]["ticket"])
    return sealed_ticket(header, load(data))


TICKET = "t.ticket.safetensors"
FORGED = with_seal(with_other_tensors, reseal_ticket)


READERS: dict[str, Reader] = {
    "ticket": Reader(
        {
            "drawn": saving(drawn_ticket, TICKET),
            "kept": saving(lambda: stored_ticket("kept"), TICKET),
            "all": saving(lambda: stored_ticket("all"), TICKET),
            "trained": saving(lambda: stored_ticket("kept", is_trained=True), TICKET),
            "odd": saving(odd_ticket, TICKET),
        },
        read_ticket,
        (TICKET,),
        (in_safetensors, with_other_tensors, FORGED, FORGED, FORGED),
        bombs.tickets(sealed_ticket),
        is_sealed=True,
    ),
    "mask": mask_reader(
        "m.safetensors",
        mutations=(in_safetensors, with_other_tensors, with_other_tensors),
        bombs=bombs.masks(),
    ),
    "mask.pt": pt_reader(),
}
