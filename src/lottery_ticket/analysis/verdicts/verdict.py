"""The verdict of a run: of each level, and over all levels together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from lottery_ticket.analysis.judging.advice import Advice
from lottery_ticket.analysis.judging.contrasts import (
    DENSE,
    contrast_table,
    contrasts_of,
    null_check,
)
from lottery_ticket.analysis.judging.facts import VerdictFacts
from lottery_ticket.analysis.judging.grounds import (
    cost_of,
    findings_of,
    learning_speed,
    unlike_trainings,
)
from lottery_ticket.analysis.judging.levels import (
    NOT_A_TICKET,
    NOT_DECIDED,
    WINNING,
    Claim,
    absolute_margin,
    default_margin,
    judged_levels,
    run_label,
    run_needs,
)
from lottery_ticket.analysis.judging.looks import Look
from lottery_ticket.analysis.statistics.claims import ALPHA, fixed_sequence
from lottery_ticket.analysis.statistics.means import (
    LEAD,
    check_one_run,
    dense_mean,
    level_statistics,
    num_test_of,
    size_by_level,
)
from lottery_ticket.analysis.statistics.tables import metric_of, plain
from lottery_ticket.analysis.telling.notes import tested_text
from lottery_ticket.analysis.telling.sentence import verdict_sentence, verdict_text
from lottery_ticket.errors import UsageError
from lottery_ticket.notebook_html import notebook_html

__all__ = ["Verdict", "verdict"]


@dataclass(frozen=True)
class Verdict(VerdictFacts):
    """Whether a run found a winning ticket, how sure that is, and against what.

    `print(verdict)` says it in words; `verdict.to_dict()` is all of it as plain values.

    Args:
        run: the run's name.
        label: as those of levels. `winning` is a claim over all levels at 5 %; of a run that is
            about one level since before its first training, the label of that level.
        level: the sparsest level claimed as winning; None where none is.
        claim: the level that the run is about, by its spec; None where it names none.
        named: the level that was asked for when the verdict was made; None where none was.
        matching_level: the sparsest that matches dense together with all before it, 5 % for all of
            them (a claim of its own, without reinit); None where not even the first does.
        num_replicates: whose dense net, level 0 of the ticket, is trained.
        replicates_needed: about how many would decide the levels that are open; None where nothing
            is open, or no such number is known.
        metric: what is judged.
        dense: what the ticket is held against: the mean over replicates, of which each has that of
            its dense nets, the ticket's and reinit's, in the metric's own unit.
        margin: how much worse than dense still matches it, in the metric's own unit.
        margin_stated: the same in points of accuracy, or per cent of the dense loss.
        num_test: examples in the test set, where that is known.
        levels: the verdict of each level.
        findings: what the controls show.
        null: the second dense net minus the first, in the metric's own unit: difference, sd, n,
            low and high (95 %) and p (two-sided); None without both nets in two replicates.
        unlike: what differs in how the trainings were executed; None where nothing is known to.
        arms: per arm and level mean, sd, n and 95 % interval, see `level_statistics`.
        contrasts: per level and control the difference, see `contrast_table`; with
            image_low and image_high, the 95 % interval over test images, where they are stored.
        speed: see `learning_speed`; empty without a validation split.
        cost: of the ticket that is claimed, or that the run is about; else of the sparsest.
        about: what was run, where that is known: data, model, criterion, scope, rewind.
        advice: what to try next, where the literature knows.
        look: of a staged run the look at which it was judged; its `alpha` stands for 5 %.
    """

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        return verdict_sentence(self)

    @property
    def tested(self) -> str:
        """What the controls of the run test about its ticket, and what they do not, in words."""
        return tested_text(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; what is not known is None."""
        frames = ("arms", "contrasts", "speed")
        values = asdict(self) | {
            "sentence": self.sentence,
            "tested": self.tested,
            "alpha": self.alpha,
            "findings": [{**asdict(f), "is_shown": f.is_shown} for f in self.findings],
            **{name: getattr(self, name).to_dict("records") for name in frames},
        }
        return plain(values)

    def __str__(self) -> str:
        return verdict_text(self)

    __repr__ = __str__
    _repr_html_ = notebook_html


def verdict(
    table: pd.DataFrame,
    *,
    margin: float | None = None,
    images: pd.DataFrame | None = None,
    about: Mapping[str, str] | None = None,
    advice: Advice | None = None,
    is_once: bool = False,
    look: Look | None = None,
    claim: Claim | None = None,
    named: int | None = None,
) -> Verdict:
    """Judge a run.

    A level is *winning* when its ticket is not worse than dense by the margin **and** better than
    `reinit`, each one-sided at 5 %. The run's claim is its sparsest level among those that
    `claimed_levels` takes together; or the one level that it was about before its first training,
    if that is winning. The unit of n is the replicate. What is random is the replicate: initial
    weights and data order. What is held fixed is this recipe and this test set.

    Args:
        table: a result table of one run, of the engine or of a finder; rows may be missing.
        margin: points of accuracy, or per cent of the dense loss; else `default_margin`.
        images: what `image_intervals` returned, to be shown beside the intervals over replicates.
        about: what was run, for `compare`.
        advice: what to try where some level is not a ticket, and none is claimed as winning.
        is_once: whether each level was pruned once from the dense net (`prune.once`), see `cost`.
        look: of a staged run the look that is taken; the table holds its replicates alone.
        claim: the level that the run is about.
        named: a level to judge by itself, whatever the run is about.

    Raises:
        UsageError: the table holds several runs or no ticket, it has no such level, or the margin
            makes no sense.
    """
    check_one_run(table)
    metric = metric_of(table)
    contrasts = contrasts_of(table, metric)
    levels = contrasts.levels
    if named is not None and named not in levels:
        listed = ", ".join(map(str, levels))
        raise UsageError(f"level: got {named}, wanted one that is trained: {listed}")
    arms = level_statistics(table, metric.column)
    own = arms.loc[(arms["arm"] == LEAD) & (arms["level"] == 0)]
    dense = dense_mean(table, metric.column)
    num_test = num_test_of(table)
    stated = default_margin(metric, num_test) if margin is None else margin
    absolute = absolute_margin(stated, metric, dense, num_test)
    alpha = ALPHA if look is None else look.alpha
    sizes, is_planned = size_by_level(table), look is None  # a rule says how many replicates
    judged = judged_levels(contrasts, absolute, sizes, claim, is_planned=is_planned, alpha=alpha)
    claimed = [found.level for found in judged if found.is_claimed]
    label = run_label(judged, claim)
    matching = fixed_sequence(contrasts.against[DENSE].p_above(-absolute), alpha)
    failed = label != WINNING and any(found.label == NOT_A_TICKET for found in judged)
    frame = contrast_table(contrasts, metric, absolute, alpha)
    if images is not None:
        frame = frame.merge(images, on=["level", "control"], how="left")
    return Verdict(
        run=next((str(run) for run in table["run"].dropna()), ""),
        label=label,
        level=max(claimed, default=None),
        matching_level=max((int(level) for level in levels[matching]), default=None),
        num_replicates=int(own["n"].iloc[0]),
        replicates_needed=run_needs(judged, claim) if label == NOT_DECIDED else None,
        metric=metric,
        dense=dense,
        margin=absolute,
        margin_stated=stated,
        num_test=num_test,
        levels=judged,
        claim=claim,
        named=named,
        findings=findings_of(contrasts, alpha),
        null=null_check(contrasts, metric),
        unlike=unlike_trainings(table),
        arms=arms,
        contrasts=frame,
        speed=learning_speed(table),
        cost=cost_of(table, _costly(claimed, claim, levels), is_once=is_once),
        about=dict(about or {}),
        advice=advice if failed else None,
        look=look,
    )


def _costly(claimed: list[int], claim: Claim | None, levels: pd.Index) -> int:
    """The level whose cost is told: the one claimed or to be claimed, else the sparsest."""
    if not claimed and claim is not None and claim.is_stated_before and claim.level in levels:
        return claim.level
    return max(claimed, default=int(levels[-1]))
