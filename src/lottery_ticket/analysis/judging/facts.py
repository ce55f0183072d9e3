"""What is known of a run that was judged, before it is put into words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lottery_ticket.analysis.judging.advice import Advice
from lottery_ticket.analysis.judging.grounds import Cost, Finding, Unlike
from lottery_ticket.analysis.judging.levels import MATCHING, WINNING, Claim, LevelVerdict
from lottery_ticket.analysis.judging.looks import Look
from lottery_ticket.analysis.statistics.claims import ALPHA
from lottery_ticket.analysis.statistics.tables import Metric

__all__ = ["VerdictFacts"]


@dataclass(frozen=True)
class VerdictFacts:
    """The fields of a `Verdict`, which says what each is."""

    run: str
    label: str
    level: int | None
    matching_level: int | None
    num_replicates: int
    replicates_needed: int | None
    metric: Metric
    dense: float
    margin: float
    margin_stated: float
    num_test: int | None
    levels: tuple[LevelVerdict, ...]
    claim: Claim | None
    named: int | None
    findings: tuple[Finding, ...]
    null: Mapping[str, float] | None
    unlike: Unlike | None
    arms: pd.DataFrame
    contrasts: pd.DataFrame
    speed: pd.DataFrame
    cost: Cost | None
    about: Mapping[str, str] = field(default_factory=dict)
    advice: Advice | None = None
    look: Look | None = None

    @property
    def alpha(self) -> float:
        """Of each one-sided test of a level, and of the claim over all of them."""
        return ALPHA if self.look is None else self.look.alpha

    @property
    def shown(self) -> LevelVerdict:
        """The level to speak of: the one that the run is about since before its first training;
        else the one claimed; else the sparsest that comes nearest to it."""
        about = None if self.claim is None or not self.claim.is_stated_before else self.claim.level
        if about in {found.level for found in self.levels}:
            return next(found for found in self.levels if found.level == about)
        if self.level is not None:
            return self.at(self.level)
        for label in (WINNING, MATCHING):
            found = [level for level in self.levels if level.label == label]
            if found:
                return found[-1]
        return self.levels[-1]

    def at(self, level: int) -> LevelVerdict:
        """The verdict of one level."""
        return next(found for found in self.levels if found.level == level)

    def contrast(self, level: int, control: str) -> dict[str, Any]:
        """The row of `contrasts` for a level and control; empty where they were not measured."""
        rows: Any = self.contrasts
        rows = rows[(rows["level"] == level) & (rows["control"] == control)]
        return next(iter(rows.to_dict("records")), {})
