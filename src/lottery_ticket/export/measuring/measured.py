"""What `measure` found, and what it says: which form is best at what, and which is slower."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lottery_ticket.notebook_html import notebook_html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DENSE", "MASKED", "Measured"]

DENSE = {"eager": "dense eager", "compiled": "dense compiled", "onnx": "dense onnx"}
"""The rows that the others are held against."""

MASKED = "the masked net"
"""What the dense rows are of where nobody gave the net before pruning."""

# what is made of a dense net one after the other, each executed by ONNX Runtime
_STEP = ("file_bytes", "gzip_bytes", "latency_p50_ms", "throughput_256", "accuracy")
_STACK = {"dense": DENSE["onnx"], "2:4": "onnx", "2:4 and int8": "int8"}

# the times of one net measured twice differ by so much; a form is called slower beyond it
_NOISE = 1.05

# what is best at what: column, whether more of it is better
_GOALS = {
    "size": ("file_bytes", False),
    "latency": ("latency_p50_ms", False),
    "throughput": ("throughput_256", True),
}

_SHOWN = [column for column, _ in _GOALS.values()]


@dataclass(frozen=True)
class Measured:
    """Each form of a model, measured side by side.

    Args:
        title: of the model.
        rows: a row per form, the dense ones first: `form`, `is_dense`, `file_bytes`, `gzip_bytes`,
            `num_parameters`, `num_nonzero`, `flops` and `effective_flops` of one example,
            `latency_p50_ms` and `latency_p99_ms` at batch 1, `throughput_64` and `throughput_256`
            in examples per second, `num_calls_1` and so on (how many were timed), `accuracy`,
            `max_difference` from the same weights in eager PyTorch, `peak_memory_bytes`.
        about: machine, threads, versions.
        skipped: form → why it was not measured.
    """

    title: str
    rows: tuple[Mapping[str, Any], ...]
    about: Mapping[str, Any]
    skipped: Mapping[str, str] = field(default_factory=dict)

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        """A line per form, and what to ship: all of it is in `table` and `notes`."""
        width = max((len(row["form"]) for row in self.rows), default=0)
        lines = [
            f"  {row['form']:<{width}}  {', '.join(_value(row, column) for column in _SHOWN)}"
            for row in self.rows
        ]
        lines += [f"  for {goal}: {name}" for goal, name in self.best.items()]
        skipped = [f"  not measured: {', '.join(self.skipped)}"] if self.skipped else []
        return "\n".join([f"Measured({self.title!r}:", *lines, *skipped]) + ")"

    @property
    def table(self) -> "pd.DataFrame":
        """A row per form."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    @property
    def best(self) -> dict[str, str]:
        """The form to ship for `size`, for `latency` and for `throughput`."""
        shipped = [row for row in self.rows if not row["is_dense"]]
        return {
            goal: (max if is_more else min)(shipped, key=lambda row: row[column])["form"]
            for goal, (column, is_more) in _GOALS.items()
            if shipped
        }

    @property
    def stack(self) -> list[dict[str, Any]]:
        """Of a 2:4 model: dense, then 2:4, then in int8 too, each as ONNX Runtime executes it."""
        forms = {row["form"]: row for row in self.rows}
        if "2:4" not in forms:
            return []
        steps = {step: forms[form] for step, form in _STACK.items() if form in forms}
        if self.about.get("dense_is") == MASKED:
            steps.pop("dense", None)  # there is none where ONNX could not be written
        if len(steps) < 2:
            return []
        return [{"step": step} | {key: row[key] for key in _STEP} for step, row in steps.items()]

    @property
    def notes(self) -> list[str]:
        """What to ship, and which forms are slower than the dense net."""
        return [*self._advice(), *self._steps(), *self._slower(), *self._skipped()]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "title": self.title,
            "about": dict(self.about),
            "rows": [dict(row) for row in self.rows],
            "skipped": dict(self.skipped),
            "best": self.best,
            "stack": self.stack,
            "notes": self.notes,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Measured":
        """What `to_dict` was made from."""
        return cls(values["title"], tuple(values["rows"]), values["about"], values["skipped"])

    def _advice(self) -> list[str]:
        said = []
        for goal, name in self.best.items():
            row, column = self._row(name), _GOALS[goal][0]
            dense = [self._faster(row, base, column) for base in self.rows if base["is_dense"]]
            said.append(f"for {goal}: {name}, {_value(row, column)}; {', '.join(dense)}")
        return said

    def _steps(self) -> list[str]:
        """The stack in words."""
        return [
            f"step by step: {step['step']}: {step['file_bytes']:,} bytes ({step['gzip_bytes']:,} "
            f"through gzip), {step['latency_p50_ms']:.3f} ms, {step['throughput_256']:,.0f} "
            "examples/s" + ("" if step["accuracy"] is None else f", {100 * step['accuracy']:.2f} %")
            for step in self.stack
        ]

    def _slower(self) -> list[str]:
        """Forms that the fastest dense row beats by more than the noise of such times."""
        said = []
        for column, what in (("latency_p50_ms", "at batch 1"), ("throughput_256", "at batch 256")):
            is_more = column == "throughput_256"
            dense = [row for row in self.rows if row["is_dense"]]
            best = (max if is_more else min)(dense, key=lambda row: row[column])
            slower = []
            for row in self.rows:
                ratio = best[column] / row[column] if is_more else row[column] / best[column]
                if ratio > _NOISE and not row["is_dense"]:
                    slower.append(f"{row['form']} ({_value(row, column)})")
            if slower:
                base = f"{best['form']} ({_value(best, column)})"
                said.append(f"slower {what} than {base}: {', '.join(slower)}")
        return said

    def _skipped(self) -> list[str]:
        return [f"{name} was not measured: {reason}" for name, reason in self.skipped.items()]

    def _row(self, name: str) -> Mapping[str, Any]:
        return next(row for row in self.rows if row["form"] == name)

    def _faster(self, row: Mapping[str, Any], base: Mapping[str, Any], column: str) -> str:
        ratio = base[column] / row[column]
        if column == "throughput_256":
            ratio = 1 / ratio
        what = "as small as" if column == "file_bytes" else "as fast as"
        return f"{ratio:.2f} times {what} {base['form']}"


def _value(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if column == "file_bytes":
        return f"{value:,} bytes"
    if column == "throughput_256":
        return f"{value:,.0f} examples/s"
    return f"{value:.3f} ms"
