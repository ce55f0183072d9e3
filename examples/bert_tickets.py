"""Tickets in pre-trained transformers, after Chen et al. 2020: θ₀ is what pre-training left.

    python examples/bert_tickets.py --text tinyshakespeare.txt                           # minutes
    python examples/bert_tickets.py --text tinyshakespeare.txt --model gpt2 --task words

A small BERT, drawn at random, learns to fill in hidden words of three quarters of a text (GPT-2: to
foretell the next word), for a minute. That is the pre-training. Then there are two tasks:

    quarter   from which quarter of the text is a passage of 24 words?
    words     the hidden, or next, words of the last quarter, which pre-training has not seen

Only the encoder's weights are pruned, neither embeddings nor heads, level by level, and each level
starts from the pre-trained weights again. Controls have the same number of weights: a random mask,
the mask shuffled within its layers, and the mask over weights that were never pre-trained.
"""

import argparse
import dataclasses
import json
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    Trainer,
    TrainingArguments,
)

from lottery_ticket import LotteryTicketFinder, PruningMask
from lottery_ticket.integrations.transformers import trainer_functions

LENGTH, WIDTH, LAYERS = 24, 64, 2
NUM_WORDS = 2000
NUM_PARTS = 4
BLOCK = 480  # words; every tenth block is held out
CONTROLS = ["random", "shuffled", "reinit"]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A family of models: its configuration, what it is pre-trained as, and what is pruned."""

    config: Any
    language_model: Any
    classifier: Any
    pruned: str

    def of_task(self, task: str) -> Any:
        return self.classifier if task == "quarter" else self.language_model


def kinds() -> dict[str, Kind]:
    hidden = NUM_WORDS  # stands for a hidden word
    bert = BertConfig(
        vocab_size=NUM_WORDS + 1, hidden_size=WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=4, intermediate_size=4 * WIDTH, max_position_embeddings=LENGTH,
        num_labels=NUM_PARTS, pad_token_id=None,
    )  # fmt: skip
    gpt2 = GPT2Config(
        vocab_size=NUM_WORDS + 1, n_positions=LENGTH, n_embd=WIDTH, n_layer=LAYERS, n_head=4,
        num_labels=NUM_PARTS, bos_token_id=hidden, eos_token_id=hidden, pad_token_id=hidden,
    )  # fmt: skip
    return {
        "bert": Kind(bert, BertForMaskedLM, BertForSequenceClassification, "re:bert.encoder"),
        "gpt2": Kind(gpt2, GPT2LMHeadModel, GPT2ForSequenceClassification, "re:transformer.h"),
    }


@dataclasses.dataclass(frozen=True)
class Text:
    """Words as numbers, the most frequent first; rare ones are one and the same."""

    ids: np.ndarray

    @classmethod
    def read(cls, path: Path) -> "Text":
        words = re.findall(r"[a-z']+|[.,;:!?]", path.read_text(encoding="utf-8").lower())
        common = [word for word, _ in Counter(words).most_common(NUM_WORDS - 1)]
        number = {word: index for index, word in enumerate(common)}
        return cls(np.array([number.get(word, NUM_WORDS - 1) for word in words]))

    def starts(
        self, count: int, rng: np.random.Generator, *, held_out: bool, quarters: list[int]
    ) -> np.ndarray:
        """Where passages start, each whole in one block of such quarters, (count,)."""
        blocks = np.arange(len(self.ids) // BLOCK)
        is_in = np.isin(blocks * BLOCK * NUM_PARTS // len(self.ids), quarters)
        blocks = blocks[is_in & ((blocks % 10 == 0) == held_out)]
        return rng.choice(blocks, count) * BLOCK + rng.integers(0, BLOCK - LENGTH, count)

    def words(self, count: int, rng: np.random.Generator, name: str, **where: Any) -> list[dict]:
        """To fill in, one word in seven is hidden; or to foretell, each from those before it."""
        rows = [self.ids[s : s + LENGTH] for s in self.starts(count, rng, **where)]
        if name == "gpt2":
            return [{"input_ids": row, "labels": row} for row in rows]
        found = []
        for row in rows:
            is_hidden = rng.random(LENGTH) < 0.15
            inputs = np.where(is_hidden, NUM_WORDS, row)
            found.append({"input_ids": inputs, "labels": np.where(is_hidden, row, -100)})
        return found

    def places(self, count: int, rng: np.random.Generator, *, held_out: bool) -> list[dict]:
        """From which quarter is the passage?"""
        quarters = list(range(NUM_PARTS))
        starts = self.starts(count, rng, held_out=held_out, quarters=quarters)
        size = len(self.ids) / NUM_PARTS
        return [{"input_ids": self.ids[s : s + LENGTH], "labels": int(s / size)} for s in starts]

    def of_task(self, task: str, name: str, seed: int) -> tuple[list[dict], list[dict]]:
        """(train, validation)."""
        rng = np.random.default_rng([seed, 1])
        if task == "quarter":
            return self.places(4096, rng, held_out=False), self.places(2048, rng, held_out=True)
        last = {"quarters": [NUM_PARTS - 1]}
        return (
            self.words(4096, rng, name, held_out=False, **last),
            self.words(1024, rng, name, held_out=True, **last),
        )


def arguments(out: Path, steps: int, lr: float, **options: Any) -> TrainingArguments:
    return TrainingArguments(
        str(out), max_steps=steps, per_device_train_batch_size=32, per_device_eval_batch_size=256,
        learning_rate=lr, warmup_steps=steps // 10, weight_decay=0.01, report_to=[],
        disable_tqdm=True, save_strategy="no", logging_strategy="no", use_cpu=True, **options,
    )  # fmt: skip


def accuracy(predicted: Any) -> dict[str, float]:
    return {"accuracy": float((predicted.predictions.argmax(-1) == predicted.label_ids).mean())}


def pretrained(
    kind: Kind, text: Text, seed: int, options: argparse.Namespace, out: Path
) -> nn.Module:
    """A model for the task whose body was pre-trained; a classifier's head is new."""
    torch.manual_seed(seed)
    steps, rng = options.pretraining_steps, np.random.default_rng(seed)
    first = {"held_out": False, "quarters": [0, 1, 2]}
    data = text.words(32 * steps, rng, options.model, **first)
    args = arguments(out, steps, 3e-3, seed=seed)
    trainer = Trainer(kind.language_model(kind.config), args, train_dataset=data)
    loss = trainer.train().training_loss
    trainer.save_model(str(out / "pretrained"))
    print(f"seed {seed}: pre-trained for {steps} steps, mean loss {loss:.3f} nats", flush=True)
    return kind.of_task(options.task).from_pretrained(out / "pretrained", config=kind.config)


def search(kind: Kind, text: Text, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of (arm, level, density, metric) of one replicate, pre-training and all."""
    name, task = options.model, options.task
    train, validation = text.of_task(task, name, seed)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        model = pretrained(kind, text, seed, options, out)

        def make_trainer(model: nn.Module) -> Trainer:
            return Trainer(
                model, arguments(out, options.steps, 1e-3), train_dataset=train,
                eval_dataset=validation,
                compute_metrics=accuracy if task == "quarter" else None,
            )  # fmt: skip

        metric, mode = ("eval_accuracy", "max") if task == "quarter" else ("eval_loss", "min")
        loop = trainer_functions(make_trainer, metric=metric)
        finder = LotteryTicketFinder(
            model_fn=lambda: kind.of_task(task)(kind.config), targets=[kind.pruned], seed=seed,
            mode=mode,
        )  # fmt: skip
        finder.find_winning_ticket(
            model, **loop, target_sparsity=options.sparsity, pruning_rounds=options.levels
        )
        results = finder.verify(**loop, arms=CONTROLS)
        fresh = kind.of_task(task)(kind.config)
        loop["train_fn"](fresh, finder.mask, attached=PruningMask(fresh).attach(fresh))
        never = {"arm": "dense, never pre-trained", "level": 0, "density": 1.0}
        rows = [{**never, "metric": loop["eval_fn"](fresh)}]
    assert results.is_valid, results.problems
    size = results.rows[0].num_kept
    rows += [
        {"arm": row.arm, "level": row.level, "density": row.num_kept / size, "metric": row.metric}
        for row in results.rows
    ]
    return [{"model": name, "task": task, "seed": seed, "num_prunable": size, **r} for r in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--text", type=Path, required=True, help="any text of some 100,000 letters")
    parser.add_argument("--model", choices=["bert", "gpt2"], default="bert")
    parser.add_argument("--task", choices=["quarter", "words"], default="quarter")
    parser.add_argument("--seeds", type=int, default=1, help="replicates, pre-training and all")
    parser.add_argument("--pretraining-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200, help="of each training on the task")
    parser.add_argument("--sparsity", type=float, default=0.8)
    parser.add_argument("--levels", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    text = Text.read(options.text)
    kind = kinds()[options.model]
    started, rows = time.process_time(), []
    for seed in range(options.seeds):
        rows += search(kind, text, seed, options)
        print(f"{time.process_time() - started:.0f} s of CPU time until here", flush=True)
        if options.json is not None:
            options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
