"""A mask beside a model: its file, and what the model's card says of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lottery_ticket.hub import Beside

if TYPE_CHECKING:
    from lottery_ticket.masks._mask import PruningMask

__all__ = ["MASK_FILE", "counts_of", "layers_of", "mask_beside", "metadata_of"]

MASK_FILE = "pruning_mask.safetensors"

_TEXT = """\
## Pruning mask

{counts} The others are exactly 0.0.

```python
from lottery_ticket import PruningMask

mask = PruningMask.from_pretrained(REPOSITORY)
mask.attach(model, optimizer)  # zeros stay zero in any training loop
```

{layers}
"""


def mask_beside(mask: "PruningMask") -> Beside:
    """The mask's file, and its section of the card."""
    text = _TEXT.format(counts=counts_of(mask), layers=layers_of(mask))
    return Beside(MASK_FILE, mask.to_bytes(), text, mask, metadata_of(mask))


def metadata_of(mask: "PruningMask") -> Mapping[str, Any]:
    """What the card's front matter says."""
    return {"sparsity": round(mask.sparsity, 6)}


def counts_of(mask: "PruningMask") -> str:
    """How much a mask keeps, in a sentence."""
    return (
        f"{mask.num_kept:,} of {mask.num_prunable:,} prunable weights are kept, in {len(mask)} "
        f"layers: density {100 * mask.density:.2f} %, sparsity {100 * mask.sparsity:.2f} %."
    )


def layers_of(mask: "PruningMask") -> str:
    """A table of the layers, folded."""
    rows = [
        f"| `{name}` | {'×'.join(map(str, kept.shape))} | {int(kept.sum()):,} | "
        f"{100 * float(kept.double().mean()):.2f} % |"
        for name, kept in mask.items()
    ]
    head = ["| layer | shape | kept | density |", "| --- | ---: | ---: | ---: |"]
    table = "\n".join([*head, *rows])
    return f"<details>\n<summary>Layers</summary>\n\n{table}\n\n</details>"
