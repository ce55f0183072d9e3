"""What a mask costs per step of transformers' Trainer, and what is right about each way to hold it.

    python benchmarks/bench_transformers.py [--json FILE]            # needs the extra `hf`

A BERT of a million weights is trained on real text, with AdamW and clipping, once without a mask,
once under `PruningCallback`, and once under the callback that people write by hand: it multiplies
weights by masks after each step. Runs of a few steps take turns, and what is compared is CPU time.
"""

import argparse
import inspect
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from lottery_ticket import PruningMask, prune
from lottery_ticket.integrations.transformers import PruningCallback

LENGTH, STEPS, SPARSITY = 32, 12, 0.9


class ByHand(TrainerCallback):
    """Weights times masks after each step."""

    def __init__(self, masks: dict[str, torch.Tensor]) -> None:
        self.masks = masks

    @torch.no_grad()
    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for name, parameter in kwargs["model"].named_parameters():
            if name in self.masks:
                parameter.mul_(self.masks[name])


def ours(mask: PruningMask) -> TrainerCallback:
    return PruningCallback(mask)


def by_hand(mask: PruningMask) -> TrainerCallback:
    return ByHand({name: kept.float() for name, kept in mask.items()})


WAYS = {"no mask": None, "`PruningCallback`": ours, "by hand": by_hand}


class Timed(TrainerCallback):
    """CPU time from the second step on, and the first gradient norm's parts."""

    def __init__(self, mask: PruningMask) -> None:
        self.mask, self.seconds, self.clipped_pruned = mask, 0.0, False
        self._started = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 2:
            self._started = time.process_time()
        if state.global_step == args.max_steps:
            self.seconds = (time.process_time() - self._started) / (args.max_steps - 2)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == args.max_steps - 1:  # clipped by now, and not timed
            gradients = {n: p.grad for n, p in kwargs["model"].named_parameters() if n in self.mask}
            self.clipped_pruned = any(
                bool(gradients[name][~kept].any()) for name, kept in self.mask.items()
            )


def bert() -> nn.Module:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=65, hidden_size=144, num_hidden_layers=4, num_attention_heads=4,
        intermediate_size=576, max_position_embeddings=LENGTH, num_labels=2,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def examples(path: Path) -> list[dict[str, Any]]:
    _, ids = np.unique(np.array(list(path.read_text(encoding="utf-8"))), return_inverse=True)
    starts = np.random.default_rng(0).integers(0, len(ids) - LENGTH, 512)
    return [{"input_ids": ids[s : s + LENGTH], "labels": int(2 * s > len(ids))} for s in starts]


def trained(way: str, data: list[dict[str, Any]], out: Path) -> tuple[float, dict[str, bool]]:
    """CPU seconds per step, and what is right at the end."""
    model = bert()
    mask = prune(model, sparsity=SPARSITY)
    timed, make = Timed(mask), WAYS[way]
    if make is not None:
        mask.apply(model)
    args = TrainingArguments(
        str(out), max_steps=STEPS, per_device_train_batch_size=32, learning_rate=1e-3,
        weight_decay=0.01, report_to=[], disable_tqdm=True, save_strategy="steps", save_steps=STEPS,
        logging_strategy="no", use_cpu=True,
    )  # fmt: skip
    callbacks = [timed] if make is None else [make(mask), timed]
    trainer = Trainer(model, args, train_dataset=data, callbacks=callbacks)
    trainer.train()
    return timed.seconds, right(model, trainer, mask, timed, out)


def right(
    model: nn.Module, trainer: Trainer, mask: PruningMask, timed: Timed, out: Path
) -> dict[str, bool]:
    parameters, memory = dict(model.named_parameters()), trainer.optimizer.state
    saved = out / f"checkpoint-{STEPS}" / "pruning_mask.safetensors"
    return {
        "weights": all(not parameters[n][~kept].any() for n, kept in mask.items()),
        "moments": all(
            not value[~kept].any()
            for n, kept in mask.items()
            for value in memory[parameters[n]].values()
            if value.shape == kept.shape
        ),
        "clipping": not timed.clipped_pruned,
        "checkpoint": saved.is_file() and PruningMask.from_file(saved) == mask,
    }


def lines_of(way: str) -> int:
    """Lines that a user writes beside `callbacks=[…]`, imports left out."""
    if way != "by hand":
        return 0 if WAYS[way] is None else 1
    code = inspect.getsource(ByHand).splitlines() + inspect.getsource(by_hand).splitlines()[1:]
    return sum(1 for line in code if line.strip() and '"""' not in line)


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--text", type=Path, required=True, help="any text")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="where to write what was measured")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = examples(options.text)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    rights: dict[str, dict[str, bool]] = {}
    for round_ in range(options.rounds + 1):
        for way in WAYS:
            with tempfile.TemporaryDirectory() as folder:
                spent, rights[way] = trained(way, data, Path(folder))
            if round_:  # the first one warms up
                seconds[way].append(spent)
    rows = []
    for way, times in seconds.items():
        ratios = [one / plain for one, plain in zip(times, seconds["no mask"], strict=True)]
        rows.append(
            {
                "way": way,
                "lines": lines_of(way),
                "ms_per_step": 1000 * statistics.median(times),
                "ratio": statistics.median(ratios),
                "least": min(ratios),
                "most": max(ratios),
                **rights[way],
            }
        )
        print(rows[-1])
    about = {
        "rounds": options.rounds, "steps": STEPS - 2, "sparsity": SPARSITY,
        "num_parameters": sum(p.numel() for p in bert().parameters()),
        "num_prunable": PruningMask(bert()).num_prunable,
        "torch": str(torch.__version__), "transformers": transformers.__version__,
        "machine": f"{platform.machine()}, one thread",
    }  # fmt: skip
    if options.json is not None:
        options.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
