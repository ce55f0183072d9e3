"""Real text, and real images."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Text:
    """Characters as numbers from 0 to `num_characters` − 1."""

    ids: torch.Tensor
    num_characters: int

    def chunks(self, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(chunks (count, length), where in the text each begins), as drawn once and for all."""
        stream = torch.Generator().manual_seed(0)
        starts = torch.randint(len(self.ids) - length, (count,), generator=stream)
        return torch.stack([self.ids[start : start + length] for start in starts]), starts


@pytest.fixture(scope="session")
def text(data_dir: Path) -> Text:
    """Shakespeare."""
    characters = (data_dir / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    codes, ids = np.unique(np.array(list(characters)), return_inverse=True)
    return Text(torch.from_numpy(ids), len(codes))


@pytest.fixture(scope="session")
def photographs(data_dir: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Sixteen images of CIFAR-10 as (16, 3, 64, 64), and their classes."""
    # of one batch: the whole set takes seconds to unpack and to read
    path = data_dir / "cifar-10-batches-bin" / "data_batch_1.bin"
    if path.is_file():
        data = path.read_bytes()
    else:
        data = runpy.run_path(str(data_dir / "prepare.py"))["unpack"]("data_batch_1")
    records = torch.from_numpy(np.frombuffer(data, np.uint8)[: 16 * 3073].copy()).view(16, 3073)
    x = records[:, 1:].view(16, 3, 32, 32).float() / 127.5 - 1
    return F.interpolate(x, size=64), records[:, 0].long()
