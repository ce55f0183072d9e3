"""Small trainings by transformers' Trainer on real text; as a script, one that may be killed.

    python trainer_tasks.py callback|search OUT TEXT JSON

`JSON` has `die_at`, the n-th step of the process after which it kills itself as `kill -9` does.
"""

import functools
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from lottery_ticket import LotteryTicketFinder, prune
from lottery_ticket.integrations.transformers import PruningCallback, trainer_functions
from lottery_ticket.masks import PruningMask

LENGTH = 32
VOCABULARY = 65


def bert(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return bert_unseeded()


def bert_unseeded() -> nn.Module:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    config = BertConfig(
        vocab_size=VOCABULARY, num_attention_heads=2, max_position_embeddings=LENGTH, num_labels=2,
        **sizes,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def gpt2(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


@functools.cache
def halves(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(train, validation): chunks of characters, and from which half of the text each is."""
    text = path.read_text(encoding="utf-8")
    _, ids = np.unique(np.array(list(text)), return_inverse=True)
    starts = np.random.default_rng(0).integers(0, len(ids) - LENGTH, 128)
    chunks = [
        {"input_ids": torch.from_numpy(ids[s : s + LENGTH]), "labels": int(s > len(ids) // 2)}
        for s in starts
    ]
    return chunks[:96], chunks[96:]


def sentences(path: Path) -> list[dict[str, Any]]:
    """Chunks of characters, to be foretold."""
    return [{"input_ids": c["input_ids"], "labels": c["input_ids"]} for c in halves(path)[0]]


def arguments(out: Path, **options: Any) -> TrainingArguments:
    """Three epochs of 12 steps."""
    given = {
        "per_device_train_batch_size": 8,
        "num_train_epochs": 3,
        "learning_rate": 3e-3,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "use_cpu": True,
    }
    return TrainingArguments(str(out), **(given | options))


def accuracy(predicted: Any) -> dict[str, float]:
    return {"accuracy": float((predicted.predictions.argmax(-1) == predicted.label_ids).mean())}


class Watching(TrainerCallback):
    """Notes each step: its number, learning rate, and what the model has read since the last."""

    def __init__(self, notes: list[dict[str, Any]], die_at: int = 0) -> None:
        self.notes, self._die_at, self._read = notes, die_at, hashlib.sha256()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model = kwargs["model"]
        self._hook = model.register_forward_pre_hook(self._reads, with_kwargs=True)

    def _reads(self, model: nn.Module, args: Any, kwargs: Any) -> None:
        if model.training:
            self._read.update(kwargs["input_ids"].numpy().tobytes())

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        rate = kwargs["optimizer"].param_groups[0]["lr"]
        step, read = state.global_step + 1, self._read.hexdigest()
        self.notes.append({"step": step, "lr": rate, "read": read})
        self._read = hashlib.sha256()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._die_at and len(self.notes) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._hook.remove()


class Forgetful(PruningCallback):
    """Leaves nothing in checkpoints."""

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {}}


Forgetful.__name__ = "PruningCallback"


def digest(tensors: Any) -> str:
    whole = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        whole.update(name.encode() + value.detach().contiguous().numpy().tobytes())
    return whole.hexdigest()


def told_of(callback: PruningCallback, model: nn.Module) -> dict[str, Any]:
    point = callback.rewind_point
    return {
        "weights": digest(model.state_dict()),
        "mask": digest(callback.mask),
        "num_kept": callback.mask.num_kept,
        "num_steps": callback.num_steps,
        "rewind_step": None if point is None else point.step,
        "rewind_point": None if point is None else digest(point.weights),
        "memory": None if point is None else digest(
            {f"{i}/{k}": v for i, s in point.optimizer_state.items() for k, v in s.items()}
        ),
    }  # fmt: skip


def train_by_callback(out: Path, text: Path, options: dict[str, Any]) -> dict[str, Any]:
    model = bert()
    kind = Forgetful if options.get("is_forgetful") else PruningCallback
    how = dict(options["callback"])
    mask = prune(model, sparsity=0.8) if "policy" not in how else PruningMask(model)
    callback = kind(mask, **how)
    notes: list[dict[str, Any]] = []
    trainer = Trainer(
        model,
        arguments(out, save_strategy="steps", save_steps=5, **options.get("args", {})),
        train_dataset=halves(text)[0],
        callbacks=[callback, Watching(notes, options.get("die_at", 0))],
    )
    trainer.train(resume_from_checkpoint=options.get("resume"))
    return {**told_of(callback, model), "notes": notes}


def search_by_trainer(out: Path, text: Path, options: dict[str, Any]) -> dict[str, Any]:
    train, validation = halves(text)
    notes: list[dict[str, Any]] = []

    def make_trainer(model: nn.Module) -> Trainer:
        return Trainer(
            model,
            arguments(out / "out", save_strategy="steps", save_steps=5, **options.get("args", {})),
            train_dataset=train,
            eval_dataset=validation,
            callbacks=[Watching(notes, options.get("die_at", 0))],
        )

    finder = LotteryTicketFinder(model_fn=bert_unseeded, mode="min", targets=["re:bert.encoder"])
    functions = trainer_functions(make_trainer)
    found = {"target_sparsity": 0.75, "pruning_rounds": 2, "verbose": False, **options["search"]}
    model, mask, results = finder.find_winning_ticket(**functions, **found, resume=out / "search")
    if options.get("arms"):
        finder.verify(**functions, arms=options["arms"], verbose=False)
    rows = [(row.arm, row.num_kept, row.metric, row.num_steps) for row in finder.results.rows]
    told = {"weights": digest(model.state_dict()), "mask": digest(mask), "rows": rows}
    return {**told, "problems": list(results.problems), "notes": notes}


def main() -> None:
    kind, out, text, options = sys.argv[1:]
    call = {"callback": train_by_callback, "search": search_by_trainer}[kind]
    found = call(Path(out), Path(text), json.loads(options))
    (Path(out) / "told.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
