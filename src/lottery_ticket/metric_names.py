"""Which of two values of a metric is better, as far as its name tells."""

import difflib
import re
from dataclasses import dataclass

from lottery_ticket.errors import UsageError, nearest

__all__ = ["Direction", "is_lower_better", "meant_by", "mode_of"]

_ENDINGS = ("loss", "perplexity", "error")
_WORDS = frozenset(
    "bpb bpc cer ece eer err fid mae mape mer mse nll ppl rmse ter wer".split()  # noqa: SIM905
)
_OF_LIGHTNING = re.compile(r"(/dataloader_idx_\d+|_epoch|_step)+\Z")


@dataclass(frozen=True)
class Direction:
    """What an `eval_fn` of an integration says of its metric, as its attribute `direction`.

    A search whose `mode` is another one is refused before it trains.

    Args:
        metric: its name.
        mode: `"min"` where a lower value is better, else `"max"`.
        remedy: what to do if it is the other way, such as `"pass greater_is_better=False"`.
    """

    metric: str
    mode: str
    remedy: str


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


def mode_of(metric: str | None, mode: str | None = None) -> str:
    """The mode that was given; else by the metric's name: `"min"` for losses, errors, perplexities.

    Args:
        metric: its name, as it was logged.
        mode: `"max"`, `"min"` or None.

    Raises:
        UsageError: the mode is another one.

    >>> mode_of("val_loss"), mode_of("val_acc"), mode_of("val_loss", "max")
    ('min', 'max', 'max')
    """
    if mode is None:
        return "min" if metric is not None and is_lower_better(metric) else "max"
    if mode not in ("max", "min"):
        raise UsageError(f"mode: got {mode!r}{nearest(str(mode), ('max', 'min'))}")
    return mode


def meant_by(name: str) -> str:
    """`"; did you mean 'eval_loss'?"` of a name that ends nearly so; else `""`.

    >>> meant_by("eval_los"), meant_by("eval_accuracy")
    ("; did you mean 'eval_loss'?", '')
    """
    start, word = re.fullmatch(r"(.*?)([^\W_]*)", name, re.S).groups()  # type: ignore[union-attr]
    close = difflib.get_close_matches(word.lower(), _ENDINGS, n=1, cutoff=0.7)
    return f"; did you mean {start + close[0]!r}?" if close and close[0] != word.lower() else ""
