"""What a search found, as the table of `lottery table` and as a few lines to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from lottery_ticket.arms import ARMS, TICKET, Arm
from lottery_ticket.errors import UsageError
from lottery_ticket.finder._search import OF_A_SEED, Row, Search
from lottery_ticket.masks import PruningMask
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.pruning import PIPELINES, Pipeline

if TYPE_CHECKING:
    import pandas as pd

    from lottery_ticket.analysis import Verdict

__all__ = ["TicketResults"]

_UNRATED = (
    "no monitor= was given, so that levels are not judged: pass the name of a logged metric, such "
    'as monitor="val_acc"'
)


@dataclass(frozen=True)
class TicketResults:
    """The trainings of a search and of its controls.

    Values of `eval_fn` are accuracies: fractions, or percent where one exceeds 1; with
    `mode="min"` they are losses. Everything printed is in the unit that `eval_fn` returned.

    Args:
        search: where they are; trainings of controls that come later join it.
    """

    search: Search

    @property
    def rows(self) -> Sequence[Row]:
        """The trainings, in the order they were made."""
        return self.search.rows

    @property
    def level(self) -> int:
        """The level of the ticket that was returned."""
        return self.search.best_level

    @property
    def mask(self) -> PruningMask:
        """The ticket's mask."""
        return self.search.masks[self.level]

    @property
    def num_prunable(self) -> int:
        """All weights that masks speak of, kept or not."""
        return self.search.num_prunable

    @property
    def table(self) -> "pd.DataFrame":
        """A row per training, with the columns of `lottery table`; accuracies are fractions."""
        from lottery_ticket.analysis import as_table

        return as_table([self.table_row(row) for row in self.rows], is_search=True)

    @property
    def summary(self) -> "pd.DataFrame":
        """A row per level: each arm's mean, and differences from dense and reinit."""
        from lottery_ticket.analysis import summary

        return summary(self.table)

    def verdict(
        self, *others: "TicketResults", margin: float | None = None, level: int | None = None
    ) -> "Verdict":
        """Whether the searches found a winning ticket, how sure that is, and against what.

        Args:
            others: the same search under other seeds, with the same controls: the replicates.
                One search alone gives numbers and no verdict.
            margin: how much worse than dense still matches it: points of accuracy, or per cent of
                the dense loss. Else 0.2 points, or 5 %; choose more where `eval_fn` looks at fewer
                than 10,000 examples.
            level: a level to judge by itself; named after the search, it is no claim.

        Raises:
            UsageError: another search, one seed twice, or results that are invalid.

        >>> results[0].verdict(*results[1:], margin=1.0)  # doctest: +SKIP
        """
        if not self.is_rated:
            raise UsageError(f"verdict: {_UNRATED}")
        import pandas as pd

        from lottery_ticket.analysis import verdict

        searches = (self, *others)
        _check_replicates(searches)
        tables = [found.table.assign(replicate=i) for i, found in enumerate(searches)]
        about = {"model": str(self.search.settings["name"])}
        table = pd.concat(tables, ignore_index=True)
        return verdict(table, margin=margin, named=level, about=about)

    @property
    def layers(self) -> "pd.DataFrame":
        """A row per (level, layer): density and counts of the ticket's masks."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "level": level,
                    "layer": name,
                    "density": int(kept.sum()) / kept.numel(),
                    "num_kept": int(kept.sum()),
                    "num_prunable": kept.numel(),
                }
                for level, mask in enumerate(self.search.masks[: len(self.search.chain)])
                for name, kept in mask.items()
            ]
        )

    @property
    def dense(self) -> float:
        """`eval_fn` of the dense net, level 0."""
        return self._ticket_row(0).metric

    @property
    def ticket(self) -> float:
        """`eval_fn` of the ticket that was returned."""
        return self._ticket_row(self.level).metric

    @property
    def gap(self) -> float:
        """Ticket − dense, in `eval_fn`'s unit (positive is better with `mode="max"`)."""
        return self.ticket - self.dense

    @property
    def retained(self) -> float:
        """Performance retained in %: ticket / dense, or dense / ticket with `mode="min"`."""
        better, base = (self.ticket, self.dense) if self._is_max else (self.dense, self.ticket)
        return 100.0 * better / base if base else float("nan")

    @property
    def seconds(self) -> float:
        """Wall-clock time of all trainings."""
        return sum(row.seconds for row in self.rows)

    @property
    def problems(self) -> list[str]:
        """What makes results invalid, with the training it was seen in."""
        return [f"{_place(row)}: {problem}" for row in self.rows for problem in row.problems]

    @property
    def is_rated(self) -> bool:
        """Whether trainings are judged by a metric: not where a callback has no `monitor`."""
        return self.search.settings.get("monitor", "") is not None

    @property
    def is_valid(self) -> bool:
        """Whether every training was one under its mask."""
        return not self.problems

    def control(self, arm: str) -> list[float]:
        """`eval_fn` of each draw of a control at the ticket's level."""
        return [row.metric for row in self.rows if row.arm == arm and row.level == self.level]

    def line(self, row: Row) -> str:
        """One training as a line to read."""
        density = row.num_kept / self.num_prunable
        counts = f"density {100 * density:6.2f} %  {row.num_kept:>12,} weights"
        invalid = "  INVALID: " + "; ".join(row.problems) if row.problems else ""
        metric = self._shown(row.metric) if self.is_rated else ""
        return f"{_place(row):<24} {counts}  {metric:>9}  {row.seconds:6.1f} s{invalid}"

    def __str__(self) -> str:
        mask = self.mask
        sizes = f"density {100 * mask.density:.2f} %, sparsity {100 * mask.sparsity:.2f} %"
        seconds = f"{self.seconds:.0f} s" if self.seconds < 600 else f"{self.seconds / 60:.0f} min"
        lines = [
            f"{self.search.settings['name']}: {len(self.rows)} trainings in {seconds}",
            *self._rated_lines(f"{mask.num_kept:,} weights kept, {sizes}"),
        ]
        for arm in dict.fromkeys(row.arm for row in self.rows if row.arm != TICKET):
            lines.append(self._control_line(arm))
        if not self.is_valid:
            lines += ["  INVALID:", *(f"    {problem}" for problem in self.problems)]
        return "\n".join(lines)

    __repr__ = __str__
    _repr_html_ = notebook_html

    def _rated_lines(self, sizes: str) -> list[str]:
        prunable = f"{self.num_prunable:,} prunable weights"
        if not self.is_rated:
            return [f"  dense    {prunable}", f"  ticket   {sizes}", f"  {_UNRATED}"]
        gap = self._difference(self.ticket, self.dense)
        return [
            f"  dense    {self._shown(self.dense)}  {prunable}",
            f"  ticket   {self._shown(self.ticket)}  {sizes}",
            f"           {self.retained:.1f} % of dense retained, gap {gap}",
        ]

    @property
    def _is_max(self) -> bool:
        return self.search.settings["mode"] == "max"

    def _ticket_row(self, level: int) -> Row:
        return next(row for row in self.rows if row.arm == TICKET and row.level == level)

    def _control_line(self, arm: str) -> str:
        values = self.control(arm)
        if not values:
            return f"  {arm}: at another level than the ticket's; see the table"
        spread = f" ± {self._number(stdev(values))}" if len(values) > 1 else ""
        draws = f"{len(values)} draws" if len(values) > 1 else "1 draw"
        difference = self._difference(self.ticket, mean(values))
        return (
            f"  {arm:<9}{self._shown(mean(values))}{spread}  ({draws}); ticket − {arm} {difference}"
        )

    def _number(self, value: float) -> str:
        if not self._is_max:
            return f"{value:.4g}"
        return f"{value if self.search.is_percent else 100 * value:.2f}"

    def _shown(self, value: float) -> str:
        return f"{self._number(value)} %" if self._is_max else self._number(value)

    def _difference(self, value: float, other: float) -> str:
        sign = "+" if value >= other else "−"
        unit = " points" if self._is_max else ""
        return f"{sign}{self._number(abs(value - other))}{unit}"

    def table_row(self, row: Row) -> dict[str, Any]:
        """A training as a row of the table."""
        num_prunable = self.num_prunable
        column = "test_accuracy" if self._is_max else "test_loss"
        return {
            "run": self.search.settings["name"],
            "arm": row.arm,
            "level": row.level,
            "replicate": self.search.settings["replicate"],
            "draw": row.draw,
            "density": row.num_kept / num_prunable,
            "sparsity": 1 - row.num_kept / num_prunable,
            "num_kept": row.num_kept,
            "num_prunable": num_prunable,
            column: row.metric / 100 if self.search.is_percent else row.metric,
            "start_step": self._start_step(row),
            "num_steps": row.num_steps,
            "train_seconds": row.seconds,
            "criterion": row.criterion,
            "scope": row.scope,
            "device": row.device,
        }

    def _start_step(self, row: Row) -> int:
        """The step at which a training started."""
        if row.level == 0:
            return 0
        settings, own = self.search.settings, ARMS.get(row.arm, Arm()).pipeline
        pipeline = Pipeline(**settings["pipeline"]) if own is None else PIPELINES[own]
        return pipeline.first_step(
            rewind=settings["rewind_step"] or 0, end=self._ticket_row(0).num_steps
        )


def _check_replicates(searches: Sequence[TicketResults]) -> None:
    """Raises `UsageError` unless all are one search under different seeds, and valid."""
    first = searches[0].search.settings
    seeds = [found.search.settings["seed"] for found in searches]
    for found in searches:
        for key in first.keys() - {*OF_A_SEED}:
            other = found.search.settings.get(key, first[key] if key == "model" else None)
            if other != first[key]:
                raise UsageError(
                    f"verdict: got searches with {key} {first[key]!r} and "
                    f"{other!r}, wanted one search under several seeds"
                )
        if not found.is_valid:
            raise UsageError(f"verdict: the results are invalid: {found.problems[0]}")
    if len(set(seeds)) < len(seeds):
        raise UsageError(
            f"verdict: got the seeds {seeds}, wanted each once: LotteryTicketFinder(seed=…)"
        )


def _place(row: Row) -> str:
    draw = f", draw {row.draw}" if row.draw else ""
    return f"{row.arm} level {row.level}{draw}"
