"""Answers → YAML with a comment above each line: what it means, and what else it could be."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from lottery_ticket.arms import ARMS
from lottery_ticket.criteria import CRITERIA
from lottery_ticket.data import DATASETS, dataset_options
from lottery_ticket.masks import SCOPES
from lottery_ticket.models import MODELS, model_options
from lottery_ticket.starter._answers import Answers, control_names
from lottery_ticket.starter._model import fitting_models
from lottery_ticket.train import LOSSES, OPTIMIZERS, SCHEDULES

__all__ = ["command_line", "spec_text"]

_WIDTH = 90


def spec_text(answers: Answers, file: str, data_dir: Path | None = None) -> str:
    """The spec as YAML.

    Args:
        answers: what it says.
        file: what it will be called, for the commands above it.
        data_dir: where data files are, if the commands are to say it.

    >>> from lottery_ticket.starter import chosen_data, chosen_model, default_recipe
    >>> data = chosen_data("digits")
    >>> answers = Answers("mine", data, chosen_model("MLP", data), 0.2, 5, default_recipe(data))
    >>> print(spec_text(answers, "mine.yaml").splitlines()[0])
    # A spec, written by `lottery init`. Change what you like, then:
    """
    about = _Comments(answers)
    lines = [*_head(answers, file, data_dir)]
    for key, value in answers.values().items():
        lines += ["", *_comment(about.of(key), "")]
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            for inner, one in value.items():
                lines += _comment(about.of(f"{key}.{inner}"), "  ")
                lines.append(f"  {_key(inner)}: {_yaml(one)}")
        elif isinstance(value, list):
            lines.append(f"{key}:")
            for one in value:
                lines += _comment(about.of_arm(one), "  ")
                lines.append(f"  - {_yaml(one)}")
        else:
            lines.append(f"{key}: {_yaml(value)}")
    return "\n".join([*lines, *_tail()]) + "\n"


def command_line(command: str, answers: Answers, file: str, data_dir: Path | None = None) -> str:
    """A command on a first spec, as a shell takes it; arguments as of `spec_text`."""
    words = ["lottery", command, file]
    for one in answers.all_imports:
        words += ["--import", one]
    words += [] if data_dir is None else ["--data-dir", str(data_dir)]
    return shlex.join(words)


def _head(answers: Answers, file: str, data_dir: Path | None) -> Iterator[str]:
    yield "# A spec, written by `lottery init`. Change what you like, then:"
    for command, meaning in (
        ("plan", "what it would do, and how long that takes here"),
        ("run", "do it; Ctrl-C stops it, the same command continues"),
    ):
        yield f"#   {command_line(command, answers, file, data_dir)}"
        yield f"#       {meaning}"
    yield "#   lottery watch"
    yield "#       see it go, in a browser"
    yield "# Every key: docs/experiments.md. One changed for one run: --set train.lr=0.01"


def _tail() -> Iterator[str]:
    yield ""
    yield from _comment(
        "How much worse than dense still matches it: points of accuracy, or per cent of the "
        "dense loss. Left out, it follows from the size of the test set. margin: 0.5",
        "",
    )
    yield from _comment(
        "The one level that the run is about, said before its first training: claim: {level: 5}",
        "",
    )


def _comment(text: str, indent: str) -> list[str]:
    return [
        f"{indent}# {line}" for line in wrap(text, _WIDTH - len(indent), break_on_hyphens=False)
    ]


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _yaml(value: Any) -> str:
    """A value on one line: JSON is YAML. Plain words go without quotes."""
    if isinstance(value, str) and value not in ("true", "false", "null"):
        is_word = value.replace("-", "").replace("_", "").isalnum() and value[0].isalpha()
        is_length = value[:-2].isdigit() and value[-2:] in ("ep", "it")
        return value if (is_word and value.isascii()) or is_length else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)


def _among(names: Any) -> str:
    return ", ".join(names)


class _Comments:
    """What each line means, for these answers."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._said: dict[str, Callable[[], str]] = {
            "name": lambda: (
                "What the run is called: letters, digits, '.', '_' and '-'; the store adds "
                "eight digits and letters (a to f)."
            ),
            "data": lambda: f"Which data: here {answers.data.about}.",
            "data.name": lambda: (
                f"A data set: {_among(DATASETS)}; or one that your code registers "
                "(@register_dataset, --import FILE.py)."
            ),
            "data.path": lambda: (
                "A .npz with x and y (and x_test, y_test; else a fifth is held out), or a folder "
                "of such .npy files; absolute, or from the folder where the command is called."
            ),
            "model": lambda: (
                f"Which net. {self._size()}Input and output sizes follow from the data."
            ),
            "model.name": lambda: (
                f"{self._fitting()}All: {_among(MODELS)} (`lottery models`); or one that your "
                "code registers (@register_model, --import FILE.py)."
            ),
            "train": lambda: "The recipe: how each training goes, dense or pruned.",
            "train.optimizer": lambda: (
                f"By which optimiser: {_among(OPTIMIZERS)}. {self._momentum()}"
            ),
            "train.lr": lambda: (
                f"The learning rate. For sgd with momentum rather {self._steps_of_sgd()}; for adam "
                "and adamw 0.0003 to 0.003."
            ),
            "train.momentum": lambda: (
                "How much of each step is carried into the next one; sgd alone has it."
            ),
            "train.batch_size": lambda: (
                "Examples in a step: more make a step steadier, and an epoch shorter."
            ),
            "train.duration": lambda: (
                "How long: ep are epochs, it are steps (5000it). The dense net should have learnt "
                "all it can by then, or more training is taken for a better mask."
            ),
            "train.loss": lambda: (
                f"What is made small: {_among(LOSSES)}. cross_entropy takes classes, mse numbers."
            ),
            "train.schedule": lambda: (
                f"How the learning rate goes: {_among(SCHEDULES)}; step wants milestones: [5ep], "
                "and each takes warmup: 1ep."
            ),
            "prune": lambda: f"What is pruned, level by level: {self._densities()}.",
            "prune.criterion": lambda: (
                f"Which weights are kept, those that score highest by: {_among(CRITERIA)}."
            ),
            "prune.scope": lambda: (
                f"Ranked together or in each layer: {_among(SCOPES)}; or a structure: channel, 2:4."
            ),
            "prune.rate": lambda: (
                "Each level prunes this fraction of what the level before kept. In place of rate "
                "and levels: densities: [0.5, 0.2, 0.1]."
            ),
            "prune.levels": lambda: (
                "How many levels there are below dense: each is trained, in each arm and replicate."
            ),
            "rewind": lambda: (
                "To which step the kept weights go back before a level is trained: 0it, their "
                "initial values; for large nets rather an early step, such as 500it or 1ep."
            ),
            "arms": lambda: (
                f"The ticket, and the controls it is held against. Others: "
                f"{_among(self._other_controls())}. "
                "Without reinit there is no verdict of winning."
            ),
            "replicates": lambda: (
                "Independent repetitions, each with seeds of its own: the n of every mean. One "
                "shows no spread, and gives no verdict; 3 is a start, 5 to 10 decide closer calls."
            ),
            "seed": lambda: "The root of all random numbers: another one is another experiment.",
        }

    def of(self, key: str) -> str:
        """Of a key, by its path."""
        if key in self._said:
            return self._said[key]()
        owner, _, option = key.partition(".")
        kind, name, known = (
            ("data set", self._answers.data.name, dataset_options(self._answers.data.name))
            if owner == "data"
            else ("model", self._answers.model.name, model_options(self._answers.model.name))
        )
        default = known[option].default if option in known else None
        said = "" if default in (None, known and next(iter(known.values())).empty) else default
        others = [n for n in known if n != option and f"{owner}.{n}" not in self._said]
        default_text = f" By default {_yaml(said)}." if said not in ("", None) else ""
        more = f" Further options: {_among(others)}." if others else ""
        return f"An option of the {kind} {name}.{default_text}{more}"

    def of_arm(self, name: str) -> str:
        """Of an arm."""
        return ARMS[name].meaning or f"An arm of your own: {name}."

    def _other_controls(self) -> list[str]:
        known = control_names(self._answers.data, self._answers.model)
        return [name for name in known if name not in self._answers.controls]

    def _size(self) -> str:
        count = self._answers.model.num_parameters
        return "" if count is None else f"It has {count:,} parameters here. "

    def _steps_of_sgd(self) -> str:
        is_of_classes = self._answers.data.task == "classification"
        return "0.01 to 0.1" if is_of_classes else "0.0005 to 0.005"

    def _momentum(self) -> str:
        return "" if self._answers.recipe.momentum else "With sgd, also momentum: 0.9."

    def _fitting(self) -> str:
        names = dict.fromkeys(model.name for model in fitting_models(self._answers.data))
        return f"These take the data: {_among(names)}. " if names else ""

    def _densities(self) -> str:
        shown = [f"{100 * density:.3g}" for density in self._answers.densities]
        if len(shown) > 12:
            shown = [*shown[:5], "…", *shown[-3:]]
        return f"of all prunable weights {', '.join(shown)} % are kept"
