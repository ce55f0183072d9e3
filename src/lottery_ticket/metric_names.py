"""Which of two values of a metric is better, as far as its name tells."""

import re

__all__ = ["is_lower_better"]

_ENDINGS = ("loss", "perplexity", "error")
_WORDS = frozenset(
    ("bpb", "bpc", "cer", "ece", "eer", "err", "fid", "mae", "mape", "mer", "mse", "nll", "ppl")
    + ("rmse", "ter", "wer")
)
_OF_LIGHTNING = re.compile(r"(/dataloader_idx_\d+|_epoch|_step)+\Z")


def is_lower_better(name: str) -> bool:
    """Whether a lower value is better of a metric that is called so, in any library.

    Known are losses, errors and perplexities, by the last word of their names; of any other name it
    is taken that a higher value is better, as transformers takes it.

    >>> [is_lower_better(name) for name in ("eval_loss", "val/perplexity", "test_wer", "RMSE")]
    [True, True, True, True]
    >>> [is_lower_better(name) for name in ("eval_accuracy", "val_power", "loss_reduction")]
    [False, False, False]
    """
    plain = _OF_LIGHTNING.sub("", name).lower()
    words = re.split(r"[^a-z0-9]+", plain)
    return plain.endswith(_ENDINGS) or words[-1] in _WORDS
