"""From Python what the command line does: `run` an experiment, look at one in the store."""

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery_ticket.arms import TICKET
from lottery_ticket.errors import DataError, LotteryError, UsageError, known_keywords, nearest
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.store import (
    Looks,
    RunEdit,
    RunLabels,
    RunRecord,
    Store,
    complete_replicates,
    correct_rows,
    default_store_path,
    example_rows,
    probe_rows,
    shared_looks,
    staged_runs,
    table_rows,
)

if TYPE_CHECKING:
    from typing import Unpack

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lottery_ticket.analysis import Between, Claim, ClassDifferences, RunTables, Verdict
    from lottery_ticket.analysis.structure import MaskPlace
    from lottery_ticket.experiment import (
        Assumptions,
        Context,
        Executes,
        Forecasts,
        Plan,
        RunOutcome,
    )
    from lottery_ticket.export import Exported, Measured, PrunedModel
    from lottery_ticket.masks import PruningMask
    from lottery_ticket.papers import Citation
    from lottery_ticket.plots import Figures, LookOptions
    from lottery_ticket.report import Page
    from lottery_ticket.spec import Spec
    from lottery_ticket.tracking import Hook, Listeners

__all__ = [
    "Prepared",
    "RunResult",
    "check_outcome",
    "context_and_jobs",
    "load_run",
    "prepare",
    "prepare_tickets",
    "report",
    "run",
    "told_apart",
    "write_text",
]

_WHICH = ("arm", "replicate", "draw", "data_dir", "rederive", "data")
_PROBING = ("data_dir", "device", "jobs", "threads", "imports", "arms", "options", "progress")
_HOW = (
    "data_dir",
    "device",
    "jobs",
    "threads",
    "kernels",
    "group",
    "keep",
    "imports",
    "progress",
    "executor",
    "address",
    "per_device",
    "track",
    "on_level",
    "on_record",
    "name",
    "tags",
    "notes",
)


@dataclass(frozen=True)
class RunResult:
    """A run in a store: its table, its summary and its figures.

    It is a snapshot: what is finished when it is first looked at. `load_run` looks anew.

    Args:
        store: where it is.
        record: what it is.
        outcome: how the call of `run` that returned it ended; None for a run that was looked up.
    """

    store: Store
    record: RunRecord
    outcome: "RunOutcome | None" = None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.record.id

    @property
    def name(self) -> str:
        """What the run is called: the name it was given, else that of its spec."""
        return self._labels.name or self.record.name

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags, sorted."""
        return self._labels.tags

    @property
    def notes(self) -> str:
        """What was noted of it."""
        return self._labels.notes

    @cached_property
    def _labels(self) -> RunLabels:
        return self.store.labels_of(self.id)

    @known_keywords("edit")
    def edit(
        self,
        *,
        name: str | None = None,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
        notes: str | None = None,
    ) -> None:
        """Change what the run is called; nothing that is named by its contents changes.

        Args:
            name: by which it can be asked for; `""` takes it away, None leaves it.
            add_tags, remove_tags: tags that it gets, and that it had.
            notes: in place of what was noted; `""` takes it away, None leaves it.

        Raises:
            UsageError: the name would be taken for another run's, or something cannot be shown.
            StoreError: the store cannot be written.

        >>> load_run().edit(name="baseline", add_tags=["paper"])  # doctest: +SKIP
        """
        edit = RunEdit(name, add_tags, remove_tags, notes)
        vars(self)["_labels"] = self.store.edit_run(self.id, edit)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table as plain values."""
        return [dict(row) for row in self._rows]

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return table_rows(self.store, self.record)

    @cached_property
    def _looks(self) -> Looks | None:
        """The rule by which the run is judged; None for that of a fixed number of replicates."""
        return shared_looks(self.record, partial(staged_runs, self.store))

    @property
    def _num_complete(self) -> int:
        return complete_replicates(self.record, {row["cell"] for row in self._rows})

    def _images_of_first(self, num_replicates: int) -> "pd.DataFrame":
        """`_images`, of the first replicates alone."""
        from lottery_ticket.analysis import image_intervals

        rows = example_rows(self.store, self._seen)
        return image_intervals(row for row in rows if row["replicate"] < num_replicates)

    @cached_property
    def _images(self) -> "pd.DataFrame | None":
        from lottery_ticket.analysis import image_intervals

        return image_intervals(example_rows(self.store, self._seen))

    @cached_property
    def _seen(self) -> RunRecord:
        """The record, of what was finished at the first look alone."""
        finished = {row["cell"] for row in self._rows}
        return replace(
            self.record, rows=tuple(row for row in self.record.rows if row.cell in finished)
        )

    @property
    def table(self) -> "pd.DataFrame":
        """A row per finished training: (arm, level, replicate, draw)."""
        from lottery_ticket.analysis import as_table

        return as_table(self.rows, is_search=bool(self.record.searches))

    @property
    def summary(self) -> "pd.DataFrame":
        """A row per level: each arm's mean, standard deviation and n, and paired differences."""
        from lottery_ticket.analysis import summary

        return summary(self.table)

    def verdict(self, margin: float | None = None, *, level: int | None = None) -> "Verdict":
        """Whether the run found a winning ticket, how sure that is, and against what.

        Args:
            margin: how much worse than dense still matches it: points of accuracy, or per cent of
                the dense loss. Else the spec's, else by the size of the test set.
            level: a level to judge by itself, whatever the run claims. Named now it is no claim;
                one that the spec names (`claim`) before the first training is.

        Raises:
            UsageError: no ticket is finished yet, or no look is taken yet of a run that is looked
                at until it is decided; the run's own metric was never a number, the run has no such
                level, or the margin makes no sense.
        """
        from lottery_ticket.analysis import advice_for, staged_verdict, verdict
        from lottery_ticket.models import options_text

        self._check_valid()
        self._check_measured()
        is_search = bool(self.record.searches)
        spec, prune = self.record.spec, self.record.spec["prune"]
        options = options_text(prune.get("criterion_options", {}))
        about = {
            **({} if is_search else {"data": self.record.data_name}),
            "model": self.record.model or spec["model"]["name"],
            "criterion": f"{prune['criterion']} ({options})" if options else prune["criterion"],
            "scope": prune["scope"],
            "rewind": spec["rewind"],
        }
        how: dict[str, Any] = {
            "margin": self.record.margin if margin is None else margin,
            "about": about,
            "advice": None if is_search else advice_for(self.record.told, self.record.layers),
            "is_once": bool(prune.get("once")),
            "claim": self._claim(self.record.margin if margin is None else margin),
            "named": level,
        }
        if self._looks is None:
            return verdict(self.table, images=self._images, **how)
        images = self._images_of_first
        return staged_verdict(self.table, self._looks, self._num_complete, images=images, **how)

    def _check_valid(self) -> None:
        """Raise `UsageError` if a training of a search was none under its mask."""
        for row in self.record.rows if self.record.searches else ():
            record = self.store.get(row.cell)
            problems = [] if record is None else record.results.get("row", {}).get("problems", [])
            if problems:
                place = f"{row.arm} level {row.level}, replicate {row.replicate}"
                raise UsageError(f"{self.id}: the results are invalid: {place}: {problems[0]}")

    def _claim(self, margin: float | None) -> "Claim | None":
        from lottery_ticket.analysis import default_margin, metric_of, num_test_of, stated_claim

        table = self.table
        default = default_margin(metric_of(table), num_test_of(table))
        return stated_claim(self.record.claim, margin, default)

    def between(self, one: str, other: str, *, margin: float | None = None) -> "Between":
        """One arm against another, level by level: better, worse, or equal within the margin.

        Args:
            one, other: arms of the run; `"dense"` stands for its dense nets.
            margin: as of `verdict`.

        Raises:
            UsageError: there is no such arm, they share no level, or the margin makes no sense.
        """
        from lottery_ticket.analysis import between

        margin = self.record.margin if margin is None else margin
        if self._looks is None:
            return between(self.table, one, other, margin=margin)
        found = self.verdict(margin).look  # what is seen of the run is what it was looked at with
        assert found is not None
        seen = self.table.loc[self.table["replicate"] < found.num_replicates]
        return between(seen, one, other, margin=margin, alpha=found.alpha)

    def by_class(
        self,
        level: int | None = None,
        *,
        data_dir: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> "ClassDifferences":
        """Whom pruning hurts: the ticket of a level minus dense, in each class of the test set.

        Args:
            level: of which ticket; by default the one that the verdict speaks of: the run's claim,
                else the sparsest that matches dense, else the sparsest.
            data_dir: where data files are, which hold the classes of the test images; else
                `$LOTTERY_DATA`, else a per-user cache.
            data: options of the data set that are others here: `{"path": "moved.npz"}`.

        Raises:
            UsageError: this is no classifier, or there is no such ticket yet.
            DataError: the data are not to be had, or not those that it was trained on.
            StoreError: something in the store is damaged.

        >>> print(load_run().by_class(12))  # doctest: +SKIP
        """
        from lottery_ticket.analysis import class_differences
        from lottery_ticket.experiment import run_data, run_spec
        from lottery_ticket.process import neutral_settings

        level = self._spoken_of() if level is None else level
        tickets = [row for row in self._rows if row["arm"] == TICKET and row["level"]]
        rows = [row for row in tickets if row["level"] == level]
        if not rows:
            there = ", ".join(str(n) for n in sorted({row["level"] for row in tickets})) or "none"
            raise UsageError(
                f"{self.id}: level: got {level}, wanted a ticket that is trained: {there}"
            )
        correct = list(correct_rows(self.store, self._seen))
        if not correct:
            raise UsageError(
                f"{self.id}: it is no classifier, or older than answers to single test images: "
                "there are no classes to compare"
            )
        with neutral_settings():
            spec = run_spec(self.record, data or {})
            record = self.store.get(rows[0]["cell"])
            assert record is not None
            folder = None if data_dir is None else Path(data_dir).absolute()
            found = run_data(self.record, spec, record, folder)
        return class_differences(
            correct,
            found.test.y.numpy(),
            level=level,
            density=rows[0]["density"],
            names=found.classes,
        )

    def _by_class_or_why(
        self,
        verdict: "Verdict",
        data_dir: str | Path | None,
        data: Mapping[str, Any] | None,
    ) -> "ClassDifferences | str | None":
        """The classes at the level that a verdict speaks of; why not; None of no classifier.

        Nothing is downloaded to write a page.
        """
        from lottery_ticket.data import found_datasets

        if all(row["test_accuracy"] is None for row in self._rows):
            return None
        if self.record.searches:
            return None
        name = self.record.spec["data"]["name"]
        if found_datasets(data_dir).get(name, Path()) is None:
            return (
                f"The classes of the test images are not known here: {name} was not found. "
                "--data-dir names the folder that has its files."
            )
        try:
            return self.by_class(verdict.shown.level, data_dir=data_dir, data=data)
        except (DataError, UsageError) as error:
            return f"The classes of the test images are not known here: {error}"

    def _spoken_of(self) -> int:
        """The level that a verdict speaks of."""
        verdict, reason = self._judged()
        if verdict is None:
            raise UsageError(f"{self.id}: {reason}")
        return verdict.shown.level

    @cached_property
    def tables(self) -> "RunTables":
        """Every table of the run: figures and reports are made from these."""
        from lottery_ticket.analysis import run_tables

        return run_tables(self.store, self.record, rows=self._rows)

    def masks(
        self, arm: str = "ticket", *, levels: Container[int] | None = None
    ) -> "dict[MaskPlace, PruningMask]":
        """The masks of an arm's finished trainings, by (run, arm, level, replicate, draw).

        Args:
            arm: whose masks.
            levels: which levels; None for all.

        Raises:
            UsageError: the run has no such arm.
        """
        from lottery_ticket.analysis.structure import read_masks

        return read_masks(self.store, self.record, arm=arm, levels=levels)

    def figures(
        self, only: Sequence[str] | None = None, **look: "Unpack[LookOptions]"
    ) -> "Figures":
        """The figures that the run has values for, the same that `plot` writes.

        Args:
            only: names of figures; `"density"` is that of what the run is judged by. None for all.
            look: `style` (`"paper"`, `"talk"`, any of matplotlib's), `width` and `height` (inches,
                or text: `"84mm"`), `font`; see `lottery_ticket.plots.LookOptions`.

        Returns:
            Name → figure of matplotlib's, in the order in which they are read; a notebook shows
            them all.

        Raises:
            UsageError: there is no such figure, or the run has no values for it; the look makes no
                sense; no training is finished.

        >>> load_run().figures(["density"], style="paper", width="3.3in")  # doctest: +SKIP
        """
        from lottery_ticket.plots import check_figures, run_figures

        check_figures(only, **look)
        drawn = self._drawn()
        return run_figures(self.tables, only=only, **drawn, **look)

    def figure(
        self, name: str = "density", *, ax: "Axes | None" = None, **look: "Unpack[LookOptions]"
    ) -> "Figure":
        """One figure of the run, on axes of its own or on those given.

        Args:
            name: as in `figures`.
            ax: where to draw a figure of one panel, with neither title nor small print.
            look: as of `figures`.

        Raises:
            UsageError: as `figures`; `ax` is given, and the figure has several panels.

        >>> load_run().figure("difference", font="serif")  # doctest: +SKIP
        """
        from lottery_ticket.plots import check_figures, run_figure

        check_figures([name], ax=ax, **look)
        drawn = self._drawn()
        return run_figure(name, self.tables, ax=ax, **drawn, **look)

    def _drawn(self) -> dict[str, Any]:
        """What all figures of the run are made of, beside its tables."""
        self._check_measured()
        if not self._rows:
            raise UsageError(f"{self.id}: nothing to draw yet, no training is finished")
        return {
            "title": self.record.heading(self.name),
            "run": self.id,
            "verdict": self._judged()[0],
            "is_sweep": self._is_sweep,
        }

    @property
    def _is_sweep(self) -> bool:
        """Whether a dense net was pruned once to each of several sparsities."""
        has_accuracy = any(row["test_accuracy"] is not None for row in self._rows)
        return bool(self.record.spec["prune"].get("once")) and has_accuracy

    def plot(
        self,
        out: str | Path,
        *,
        formats: Sequence[str] = ("png", "svg"),
        only: Sequence[str] | None = None,
        **look: "Unpack[LookOptions]",
    ) -> list[Path]:
        """Draw every figure that the run has values for into the folder `out`.

        Of a dense net that was pruned once to each of several sparsities, also those that
        `plots.draw_sweep` lists.

        Args:
            out: the folder; it is made.
            formats: `"png"`, `"svg"`, `"pdf"`.
            only, look: as of `figures`.

        Returns:
            The files written.

        Raises:
            UsageError: `out` is no folder, or something that is no file stands in a figure's place;
                the run's own metric was never a number; as `figures`.
        """
        from lottery_ticket.files import check_folder, usable_path
        from lottery_ticket.plots import check_figures, save_figures, save_sweep

        check_figures(only, formats, **look)
        out = usable_path(out, "out")
        check_folder(out)
        paths = save_figures(self.figures(only, **look), out, formats)
        if self._is_sweep and only is None:
            paths.append(save_sweep(self.table, out, self.id))
        return paths

    def report(
        self,
        out: str | Path | None = None,
        *,
        format: str = "html",
        margin: float | None = None,
        data_dir: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> "Page":
        """A report of the run; see `report`."""
        return report([self], out, format=format, margin=margin, data_dir=data_dir, data=data)

    def to_latex(
        self,
        out: str | Path | None = None,
        *,
        error: str = "sd",
        arms: Sequence[str] | None = None,
        levels: Sequence[int] | None = None,
        trainings: bool = False,
        caption: str | None = None,
        label: str | None = None,
        margin: float | None = None,
    ) -> str:
        r"""The run as a table for a paper, in the rules of booktabs: a row per level.

        Arms are columns. In bold are the ticket's values at levels whose verdict is winning; the
        caption says by what rule.

        Args:
            out: a file to write too; its folder is made.
            error: what stands beside a mean: `"sd"`, `"ci"` (95 % interval) or `"none"`.
            arms: which arms, in this order; None for all.
            levels: which levels; None for all.
            trainings: a row per training instead, over several pages where it is long; the
                arguments above but `out` have no effect on it.
            caption: plain text for its start, in place of the run's title: it is escaped.
            label: the name that `\ref` is to know; else `tab:` and the run's name.
            margin: as of `verdict`.

        Returns:
            LaTeX that compiles as it is.

        Raises:
            UsageError: no training is finished, the run has no such arm or level, or an argument
                makes no sense.

        >>> print(load_run().to_latex(levels=[0, 5, 10]))  # doctest: +SKIP
        """
        from lottery_ticket.papers import levels_latex, trainings_latex

        self._check_measured()
        of = {"name": self.record.title, "caption": caption, "label": label}
        if trainings:
            if error != "sd" or arms is not None or levels is not None:
                raise UsageError(
                    "trainings: error, arms and levels have no effect on a table of single "
                    "trainings; leave them out"
                )
            text = str(trainings_latex(self.table, **of))
        else:
            verdict, reason = self._judged(margin)
            remarks = [] if verdict is not None else [f"no verdict: {reason}"]
            shown = {"error": error, "arms": arms, "levels": levels, "remarks": remarks}
            text = str(levels_latex(self.table, verdict, **shown, **of))
        write_text(out, text)
        return text

    def cite(self, *, margin: float | None = None) -> "Citation":
        """How the run was done, in a paragraph, and whom to cite for what it used.

        Every statement is read off the run's record, and true of that run. What a user brought is
        told as their own.

        Args:
            margin: as of `verdict`.

        Returns:
            `.text`, `.markdown` (`[@key]`, as Pandoc reads it), `.latex` and `.bibtex`; printed, it
            is text and BibTeX.

        Raises:
            UsageError: the margin makes no sense, or the results are invalid.

        >>> print(load_run().cite().bibtex)  # doctest: +SKIP
        """
        from lottery_ticket import __version__
        from lottery_ticket.papers import methods

        verdict, _ = self._judged(margin)
        return methods(self.record, self._rows, verdict, version=__version__)

    def track(
        self,
        *to: object,
        data_dir: str | Path | None = None,
        note: Callable[[str], None] | None = None,
    ) -> int:
        """Send the run to trackers, as if it had been tracked while it went: what is finished of
        it. What a tracker has of it already is not sent again; what comes after a level that is not
        finished waits for it.

        Args:
            to: as `track` of `run`.
            data_dir: where data files are, for the report.
            note: is told in a line what could not be sent; by default it is printed on standard
                error.

        Returns:
            How many trainings they have by now.

        Raises:
            UsageError: there is no such tracker, or what it needs is not installed.
            LotteryError: a tracker failed; the same call sends what is missing.

        >>> load_run().track("tensorboard=runs")  # doctest: +SKIP
        """
        from lottery_ticket.streams import StandardError
        from lottery_ticket.tracking import chosen_trackers, track_finished

        trackers = chosen_trackers([each for one in to for each in _each(one)])
        if not trackers:
            raise UsageError('track: say where to, such as track("tensorboard")')
        say = note or partial(print, file=StandardError())
        folder = None if data_dir is None else Path(data_dir).absolute()
        files = partial(_files_of, self, data_dir=folder)
        return track_finished(self.record, self.store, trackers, say, files)

    def pruned_model(
        self,
        level: int,
        *,
        arm: str = "ticket",
        replicate: int = 0,
        draw: int = 0,
        rederive: bool = False,
        data_dir: str | Path | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> "PrunedModel":
        """A trained level of the run, as `lottery_ticket.export` takes it.

        Args:
            level: 0 is dense.
            arm, replicate, draw: which of the trainings of the level.
            rederive: train it again if its trained weights were not kept.
            data_dir: where data files are; else `$LOTTERY_DATA`, else a per-user cache.
            data: options of the data set that are others here: `{"path": "moved.npz"}`.

        Raises:
            UsageError: there is no such training, or its weights were not kept.
            DataError: the data are not to be had, or not those that it was trained on.
            StoreError: something in the store is damaged.
        """
        from lottery_ticket.export import stored_model

        found = stored_model(
            self.store,
            self.record,
            level,
            arm=arm,
            replicate=replicate,
            draw=draw,
            data_dir=None if data_dir is None else Path(data_dir).absolute(),
            data=data,
            rederive=rederive,
        )
        verdict, reason = self._judged()
        sentence = reason if verdict is None else verdict.sentence
        return replace(found, facts={**found.facts, "verdict": sentence})

    @known_keywords("export", also=_WHICH)
    def export(
        self,
        level: int,
        *,
        format: str | Sequence[str] = "state_dict",
        out: str | Path,
        opset: int | None = None,
        batch_size: int | None = None,
        **which: Any,
    ) -> "Exported":
        """Write a trained level as files that a service can run; see `lottery_ticket.export`.

        Args:
            level: 0 is dense.
            format: a name in `lottery_ticket.export.FORMATS`, or several.
            out: a new folder; or, of a single format, a new file with its suffix.
            opset: of ONNX.
            batch_size: for which the format `sparse` is decided; by default 256.
            which: `arm`, `replicate`, `draw`, `rederive`, `data_dir` and `data`, as of
                `pruned_model`.

        Raises:
            UsageError, DataError, StoreError: as `pruned_model`.
            LotteryError: as `lottery_ticket.export.export`.

        >>> load_run().export(15, format="onnx", out="ticket.onnx")  # doctest: +SKIP
        """
        from lottery_ticket.export import export
        from lottery_ticket.process import neutral_settings

        pruned = partial(self.pruned_model, level, **which)
        with neutral_settings():
            return export(pruned, format=format, out=out, opset=opset, batch_size=batch_size)

    @known_keywords("bench_export", also=_WHICH)
    def bench_export(
        self,
        level: int,
        *,
        forms: Sequence[str] | None = None,
        threads: int = 1,
        seconds: float = 1.0,
        compiled: bool = True,
        memory: bool = True,
        batch_size: int | None = None,
        on_step: Callable[[str], None] = lambda step: None,
        **which: Any,
    ) -> "Measured":
        """Measure the forms of a trained level beside the dense net, on this machine.

        Args:
            level: 0 is dense.
            forms: names in `lottery_ticket.export.FORMATS`; by default all.
            threads: CPU threads of everything.
            seconds: how long each form is timed for each batch size.
            compiled: whether the dense net is tried with `torch.compile`.
            memory: whether peak memory is measured, in a fresh process for each form.
            batch_size: for which the format `sparse` is decided; by default 256.
            on_step: is told what is done next, in a few words.
            which: `arm`, `replicate`, `draw`, `rederive`, `data_dir` and `data`, as of
                `pruned_model`.

        Returns:
            `.table`, `.best`, `.notes`; drawn by `lottery_ticket.plots.forms_figure`.

        Raises:
            UsageError, DataError, StoreError: as `pruned_model`.
            LotteryError: as `lottery_ticket.export.measure`.
        """
        from lottery_ticket.export import measure
        from lottery_ticket.process import neutral_settings

        pruned = self.pruned_model(level, **which)
        with neutral_settings():
            return measure(
                pruned,
                forms=forms,
                threads=threads,
                seconds=seconds,
                compiled=compiled,
                memory=memory,
                batch_size=batch_size,
                on_step=on_step,
            )

    def _judged(self, margin: float | None = None) -> "tuple[Verdict | None, str]":
        """The verdict, or why there is none yet."""
        if reason := self._unmeasured():
            return None, reason
        if any(row["arm"] == TICKET and row["level"] for row in self._rows):
            if self._looks is not None and self._num_complete < self._looks.replicates[0]:
                return None, self._before_looks(self._looks)
            return self.verdict(margin), ""
        return None, "no ticket is finished below the dense network, so there is nothing to judge"

    def _before_looks(self, looks: Looks) -> str:
        from lottery_ticket.analysis import before_looks

        return before_looks(looks, self._num_complete)

    def _check_measured(self) -> None:
        if reason := self._unmeasured():
            raise UsageError(f"{self.id}: {reason}")

    def _unmeasured(self) -> str:
        """What to say where the run's own metric was no number in any training; else nothing."""
        values = {row["cell"]: row["test_metric"] for row in self.rows if row["metric"] is not None}
        if not values or any(value is not None for value in values.values()):
            return ""
        name = self.rows[0]["metric"]
        return (
            f"the metric {name!r} was no number (NaN or infinite) in any of {len(values)} "
            "trainings, so there is nothing to judge: mend it and run again, or leave train.metric "
            "out to judge by accuracy or loss"
        )

    @known_keywords("transfer", also=_HOW)
    def transfer(
        self, *, data: str | None = None, overrides: Sequence[str] = (), **how: Any
    ) -> "RunResult":
        """Train this run's tickets, level by level, on other data or by another recipe.

        Beside them are trained that data's own tickets, and both masks with fresh weights.

        Args:
            data: another data set; it takes over the options it has in common with the run's.
            overrides: `["train.lr=0.05"]`, of everything but what decides the tickets.
            how: as in `run`: `data_dir`, `device`, `jobs`, …

        Raises:
            UsageError: nothing differs from this run, the tickets do not fit, or an argument.
            LotteryError: as `run`.
        """
        from lottery_ticket.experiment import check_registered, import_user_code
        from lottery_ticket.spec import transfer_spec

        import_user_code(how.get("imports", ()))
        check_registered(self.record)
        spec = transfer_spec(self.record.spec, data=data, overrides=overrides)
        return _run_tickets(self, spec, **how)

    @known_keywords("retrain", also=_HOW)
    def retrain(self, level: int, *, overrides: Sequence[str], **how: Any) -> "RunResult":
        """Train this run's ticket of one level again by another recipe, beside dense and reinit.

        Args:
            level: which ticket.
            overrides: the other recipe, such as `["train.lr=0.05"]`.
            how: as in `run`.

        Raises:
            UsageError, LotteryError: as `transfer`.
        """
        from lottery_ticket.experiment import check_registered, import_user_code
        from lottery_ticket.spec import retrain_spec

        import_user_code(how.get("imports", ()))
        check_registered(self.record)
        spec = retrain_spec(self.record.spec, level, overrides=overrides)
        return _run_tickets(self, spec, **how)

    @property
    def probes(self) -> "pd.DataFrame":
        """A row per value that was measured on the run's trainings by `probe`, `evaluate`; of those
        that were measured since the result was looked up, too."""
        import pandas as pd

        return pd.DataFrame(probe_rows(self.store, self.store.read_run(self.id)))

    @known_keywords("probe", also=_PROBING)
    def probe(
        self,
        name: str,
        *,
        options: Mapping[str, Any] | None = None,
        data: str | Mapping[str, Any] | None = None,
        arms: Sequence[str] = (),
        progress: bool = True,
        **how: Any,
    ) -> "pd.DataFrame":
        """Measure something on every finished training; what was measured before is not again.

        Args:
            name: a registered probe: `"evaluate"`, `"travel"`, or one of your own.
            options: the probe's own.
            data: which data it looks at: a name, or `{"name": …, option: …}`; else the run's own.
            arms: of which arms; by default of all.
            progress: as in `run`.
            how: as in `run`: `data_dir`, `device`, `jobs`, `threads`, `imports`.

        Returns:
            A row per value: run, probe, arm, level, replicate, draw, density, what the probe says
            of it, and `value`; those of this call alone.

        Raises:
            UsageError: something does not fit, or no training is finished with its weights.
            DataError: the data are not to be had.
            LotteryError: some could not be measured; the others are kept.

        >>> load_run().probe("evaluate", data="fashion-mnist")  # doctest: +SKIP
        """
        import pandas as pd

        from lottery_ticket.experiment import Asked, import_user_code, probe_run, probe_work
        from lottery_ticket.process import neutral_settings, random_state_kept

        context, jobs = context_and_jobs(self.store, **how)
        named = {"name": data} if isinstance(data, str) else data
        asked = Asked(name, dict(options or {}), named, tuple(arms))
        with neutral_settings():
            import_user_code(context.imports)
            work = probe_work(self.store, self.record, asked, context)
        with random_state_kept():  # rich draws a random number when it is imported
            from lottery_ticket.progress import observer

        with observer(is_quiet=not progress) as watching:
            outcome = probe_run(
                self.store, self.record, work, context, jobs=jobs, observer=watching
            )
        assert outcome.record is not None
        check_outcome(outcome, "measurements")
        rows = probe_rows(self.store, outcome.record)
        return pd.DataFrame([row for row in rows if row["cell"] in work.cells])

    @known_keywords("evaluate", also=_PROBING)
    def evaluate(
        self, data: str | Mapping[str, Any] | None = None, *, split: str = "test", **how: Any
    ) -> "pd.DataFrame":
        """Loss and accuracy of every finished training on other data, or on another split.

        Args:
            data: a name, or `{"name": …, option: …}`; else the run's own.
            split: `"test"`, `"validation"` or `"train"`.
            how: as in `probe`.

        Raises:
            LotteryError: as `probe`.
        """
        options = {} if split == "test" else {"split": split}
        return self.probe("evaluate", options=options, data=data, **how)

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        done = len(self._rows)
        return f"RunResult({self.id!r}, {done} of {len(self.record.rows)} trainings finished)"


@dataclass(frozen=True)
class Prepared:
    """A plan and all that running it needs."""

    plan: "Plan"
    store: Store
    context: "Context"
    jobs: int
    executor: "Executes | None" = None
    listeners: "Listeners | None" = None
    edit: RunEdit | None = None

    _repr_html_ = notebook_html

    @property
    def is_for_workers(self) -> bool:
        """Whether the workers of the store make its cells."""
        from lottery_ticket.experiment import Workers

        return self.executor is Workers

    @property
    def is_stopped(self) -> bool:
        """Whether somebody asked all who make its run to stop."""
        from lottery_ticket.experiment import is_asked_to_stop

        return is_asked_to_stop(self.store, self.plan.id)

    def submit(self, *, retry_failed: bool = False) -> "RunRecord":
        """Let the workers of the store make whatever is not in it yet, and do not wait for them.

        Args:
            retry_failed: whether cells that failed are tried again.

        Raises:
            UsageError: somebody has to wait for them, to look at what they made.
        """
        if self.plan.spec.until_decided is not None:
            raise UsageError(
                f"{self.plan.id}: until_decided: somebody has to wait for each look, to say "
                "whether more replicates are to be made, and who submits does not wait. Use "
                "`lottery run … --until-decided --executor workers`"
            )
        return self._submit(retry_failed)

    def _submit(self, retry_failed: bool) -> "RunRecord":
        from lottery_ticket.experiment import submit_plan

        return submit_plan(
            self.plan, self.store, self.context, retry_failed=retry_failed, edit=self.edit
        )

    def run(self, *, progress: bool = True, retry_failed: bool = False) -> RunResult:
        """Make whatever is not in the store yet; what became of it is in the result's `outcome`.

        Args:
            progress: as in `run`.
            retry_failed: as of `submit`, where workers make it.
        """
        from lottery_ticket.staging import following_plan, joined_outcome

        prepared = self
        if self.plan.spec.until_decided is not None and self.listeners is not None:
            prepared = replace(self, listeners=self.listeners.once())
        made = prepared._run(progress, retry_failed)
        while made.outcome is not None and made.outcome.is_complete:
            following = following_plan(prepared.plan, self.store)
            if following is None:
                break
            if made.outcome.is_asked:  # when the last training of a look had just ended
                return replace(made, outcome=replace(made.outcome, is_stopped=True))
            prepared = replace(prepared, plan=following)
            then = prepared._run(progress, retry_failed)
            assert then.outcome is not None
            made = replace(then, outcome=joined_outcome(made.outcome, then.outcome))
        return made

    def _run(self, progress: bool, retry_failed: bool) -> RunResult:
        """Make what is not in the store, up to the next look of a staged run."""
        from lottery_ticket.experiment import Workers, run_plan, submission_of
        from lottery_ticket.process import random_state_kept
        from lottery_ticket.tracking import Listeners

        with random_state_kept():  # rich draws a random number when it is imported
            from lottery_ticket.progress import observer

        listeners = self.listeners or Listeners()
        with (
            observer(is_quiet=not progress) as watching,
            listeners.told(watching, self._files) as told,
        ):
            for note in self._notes(progress):
                watching.note(note)
            executor = self.executor
            if self.is_for_workers:
                self._submit(retry_failed)
                submission = submission_of(self.plan, self.context)
                executor = partial(Workers, submission=submission)
                if not self.store.claimed_names():
                    watching.note(
                        f"{self.plan.id} is submitted; it is made where `lottery work` is called "
                        f"on {self.store.location}"
                    )
            outcome = run_plan(
                self.plan,
                self.store,
                self.context,
                jobs=self.jobs,
                observer=told,
                executor=executor,
                edit=None if self.is_for_workers else self.edit,
            )
        assert outcome.record is not None
        return RunResult(self.store, outcome.record, outcome)

    def _notes(self, progress: bool) -> list[str]:
        """What there is to say before it begins; which look it goes to, where progress is shown."""
        from lottery_ticket.staging import looks_text

        look = looks_text(self.plan)
        return [
            *self.plan.inputs.notes,
            *([f"{self.plan.id}: {look}"] if look and progress else []),
        ]

    def _files(self, folder: Path, note: Callable[[str], None]) -> list[tuple[str, Path]]:
        """What trackers get of the run once it is complete."""
        result = RunResult(self.store, self.store.read_run(self.plan.id))
        return _files_of(result, folder, note, self.context.data_dir)

    def forecast(
        self,
        workers: Sequence[int] = (1, 8, 64, 512),
        assumptions: "Assumptions | None" = None,
        *,
        seconds: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> "Forecasts":
        """What the cells that are left would take on so many workers that share a store.

        Cells like finished ones take as long as these did; other trainings as long as tried steps
        of them take here.

        Args:
            workers: how many, a forecast for each.
            assumptions: what they and their store are like; by default an object store.
            seconds: name → seconds of the steps of trainings, else they are tried.
            seed: of the simulation.

        Raises:
            UsageError: a number makes no sense, or workers are lost too often to make a cell.

        >>> prepare("quickstart").forecast([1, 8])  # doctest: +SKIP
        """
        from lottery_ticket.experiment import (
            Assumptions,
            Forecasts,
            cell_seconds,
            finished_cells,
            forecast,
            tasks_of,
            training_seconds,
        )

        done = finished_cells(self.plan, self.store)
        if seconds is None:
            seconds = training_seconds(self.plan, done, self.context)
        known = self.store.cells(done)
        executions = {name: cell.execution for name, cell in known.items()}
        foreseen = cell_seconds(self.plan, seconds, executions)
        tasks = tasks_of(self.plan, done, foreseen, keep=self.context.keep)
        return Forecasts(
            forecast(tasks, number, assumptions or Assumptions(), seed=seed) for number in workers
        )


def write_text(out: str | Path | None, text: str) -> None:
    """Write a file whose folder is made; nothing where `out` is None."""
    from lottery_ticket.files import (
        check_replaceable,
        make_folder,
        usable_path,
        write_file,
        writing,
    )

    if out is None:
        return
    path = usable_path(out, "out")
    check_replaceable(path)
    with writing(path) as place:
        make_folder(place.parent)
        write_file(place, text.encode())


@known_keywords("prepare", also=_HOW)
def prepare(
    spec: "Spec | Mapping[str, Any] | str | Path",
    *,
    overrides: Sequence[str] = (),
    store: str | Path | None = None,
    claims: str | None = None,
    executor: str = "local",
    address: str | None = None,
    per_device: int = 1,
    track: object = None,
    on_level: "Hook | None" = None,
    on_record: "Hook | None" = None,
    name: str | None = None,
    tags: Sequence[str] = (),
    notes: str | None = None,
    until_decided: bool = False,
    **how: Any,
) -> Prepared:
    """Check everything and plan the run, before any work starts; the arguments are those of `run`.

    Raises:
        LotteryError: something does not fit.
    """
    from lottery_ticket.experiment import (
        Place,
        available_devices,
        chosen_executor,
        group_size,
        import_user_code,
        inspect_inputs,
    )
    from lottery_ticket.process import neutral_settings
    from lottery_ticket.spec import Spec, load_spec, spec_from_mapping
    from lottery_ticket.staging import stage_plan, staged_spec
    from lottery_ticket.tracking import Listeners

    edit = RunEdit(name, tags, notes=notes)
    opened = Store(default_store_path() if store is None else store, claims=claims)
    place = Place(how.get("jobs"), address, per_device, how.get("device", "auto"), how.get("group"))
    executes = chosen_executor(executor, place)
    is_here = executor == "local"
    context, jobs = context_and_jobs(opened, is_here=is_here, **how)
    with neutral_settings():
        import_user_code(context.imports, refresh=True)
        listeners = Listeners.checked(track, on_level, on_record)
        if isinstance(spec, str | Path):
            spec = _spec_of_a_run(spec, overrides, opened) or load_spec(spec, overrides)
        elif overrides:
            raise UsageError("overrides go with a preset or file; change the spec itself instead")
        elif not isinstance(spec, Spec):
            spec = spec_from_mapping(spec)
        spec = staged_spec(spec, is_asked=until_decided, overrides=overrides)
        inputs = inspect_inputs(
            spec, context.data_dir, kernels=context.kernels, device=context.device
        )
        # the size of a group follows from the card, which may be elsewhere
        is_known = is_here or context.device != "cuda" or "cuda" in available_devices()
        if how.get("group") is None and context.kernels == "auto" and is_known:
            context = replace(context, group=group_size(spec, context.data_dir, context.device))
        planned = stage_plan(spec, inputs, opened)
    if edit.name:
        opened.check_name(planned.id, edit.name)
    labels = None if edit == RunEdit() else edit
    return Prepared(planned, opened, context, jobs, executes, listeners, labels)


def _spec_of_a_run(source: str | Path, overrides: Sequence[str], store: Store) -> "Spec | None":
    """The spec of a run that is called so, where no preset or file is; None if there is no run.

    Raises:
        UsageError: the run is a search, which came from no spec, or an override makes no sense.
    """
    from lottery_ticket.experiment import check_registered
    from lottery_ticket.spec import again_spec, names_a_spec

    if names_a_spec(source):
        return None
    try:
        record = store.run(str(source))
    except UsageError:  # neither; what specs there are is said
        return None
    if str(source) not in ("last", record.id, store.labels_of(record.id).name):
        return None  # a prefix may be a preset's name, misspelt
    if record.searches:
        raise UsageError(f"{record.id}: a search of the finder; the script that began it goes on")
    check_registered(record)
    return again_spec({k: v for k, v in record.told.items() if v is not None}, overrides)


def context_and_jobs(
    store: Store,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    threads: int | None = None,
    kernels: str = "auto",
    group: int | None = None,
    keep: str = "all",
    imports: Sequence[str] = (),
    per_device: int = 1,
    is_here: bool = True,
) -> "tuple[Context, int]":
    """Where and how cells are made, and how many at a time; the arguments are those of `run`.

    Args:
        per_device: how many at a time on each GPU, if `jobs` does not say.
        is_here: whether it is this machine that makes them, which has the device.

    Raises:
        UsageError: one of them makes no sense.
    """
    from lottery_ticket.choices import KEEP
    from lottery_ticket.experiment import Context, num_devices, resolve_device, threads_of_one

    for name, value in (("jobs", jobs), ("threads", threads), ("group", group)):
        if value is not None and value < 1:
            raise UsageError(f"{name}: got {value}, wanted at least 1")
    if group is not None and group > 1 and kernels != "auto":
        raise UsageError(
            f"kernels {kernels!r} has no effect on trainings made as one batch (group {group}); "
            "leave one of them out"
        )
    if keep not in KEEP:
        raise UsageError(f"keep: unknown choice {keep!r}{nearest(keep, KEEP)}")
    if is_here or device != "cuda":
        device = resolve_device(device)
    if jobs is None:
        jobs = num_devices(device) * (per_device if device.startswith("cuda") else 1)
    context = Context(
        store=store.absolute(),
        data_dir=None if data_dir is None else Path(data_dir).absolute(),
        device=device,
        threads=threads or (1 if jobs > 1 or not is_here else threads_of_one()),
        kernels=kernels,
        group=group or 1,
        keep=keep,
        imports=tuple(imports),
    )
    return context, jobs


@known_keywords("run")
def run(
    spec: "Spec | Mapping[str, Any] | str | Path",
    *,
    overrides: Sequence[str] = (),
    store: str | Path | None = None,
    claims: str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    threads: int | None = None,
    kernels: str = "auto",
    group: int | None = None,
    keep: str = "all",
    imports: Sequence[str] = (),
    executor: str = "local",
    address: str | None = None,
    per_device: int = 1,
    name: str | None = None,
    tags: Sequence[str] = (),
    notes: str | None = None,
    progress: bool = True,
    track: object = None,
    on_level: "Hook | None" = None,
    on_record: "Hook | None" = None,
    until_decided: bool = False,
) -> RunResult:
    """Run an experiment: whatever of it is not in the store yet.

    Args:
        spec: a preset's name, a YAML file, a mapping of the same shape, or a `Spec`; or a run
            that goes on: its id, its name, or `"last"`.
        overrides: `["train.lr=0.05"]`, for a preset or file.
        store: where results are: a folder, or an address such as `s3://bucket/prefix`; else
            `$LOTTERY_STORE`, else `./lottery_runs`.
        claims: how a new store tells who is at work: `"lock"`, or `"lease"` where machines share
            the folder over a network; None for what the store has, else locks.
        data_dir: where data files are; else `$LOTTERY_DATA`, else a per-user cache.
        device: `"auto"`, `"cpu"`, `"cuda"` or `"mps"`.
        jobs: cells at a time; by default one per core on a CPU, one per GPU on CUDA.
        threads: CPU threads per cell; by default 1 when `jobs` is more than 1, else
            $OMP_NUM_THREADS, else all cores.
        kernels: how steps are executed: `"auto"` follows fixed rules; `"autograd"`, `"compiled"`,
            `"direct"`, `"direct-dense"` and `"direct-sparse"` force one way, see docs/speed.md.
        group: trainings that are made as one batch, at most; by default as many as fit for small
            nets on CUDA, else one.
        keep: `"all"` trained weights, or only those `"needed"` to make masks.
        imports: modules or .py files that register models and data sets.
        executor: `"local"`: this machine makes the cells; `"workers"`: the run is submitted, and
            made by whoever calls `lottery work` on the store, now or later; `"ray"`: a Ray cluster,
            whose nodes all see the store and the data. Imports are sent there from here; `device`
            and `threads` are what each cell gets there, and `jobs` how many are made at a time at
            most.
        address: of the Ray cluster; else `$RAY_ADDRESS`, else the one on this machine, which is
            started if there is none.
        per_device: cells on a GPU of the cluster at a time.
        name: what the run is called, by which it can be asked for as by its id; else as its spec.
            It renames nothing, and can be changed later (`RunResult.edit`), as can:
        tags: that the run gets.
        notes: what there is to say of it, in place of what was said.
        progress: show on standard error how the run goes: bars on a terminal or in a notebook,
            else a line now and then.
        track: where to follow it, too: `"mlflow"`, `"tensorboard"`, `"trackio"`, `"wandb"`, or
            `"mlflow=http://…"` to say where; one of your own (`lottery_ticket.tracking.Tracker`);
            or several of these. What fails there is said, and ends nothing.
        on_level: is called with a `lottery_ticket.tracking.Record` of each finished training.
        on_record: is called with one of each measurement along a training, once that is finished.
        until_decided: train 5 replicates and look at the verdict, then 10, 20 and 30, until it is
            decided: false claims stay below 5 % over all looks. As `until_decided: true` in the
            spec, whose `replicates` has no effect then.

    Returns:
        The run, with `.table`, `.summary`, `.verdict()` and `.plot(folder)`.

    Raises:
        UsageError: the spec or an argument does not fit; said before anything runs.
        DataError: the data cannot be read.
        StoreError: the store cannot be written.
        LotteryError: some cells failed; the others were finished, and are kept.

    >>> result = run("quickstart", overrides=["replicates=2"])  # doctest: +SKIP
    >>> result.summary  # doctest: +SKIP
    """
    prepared = prepare(
        spec,
        overrides=overrides,
        store=store,
        claims=claims,
        data_dir=data_dir,
        device=device,
        jobs=jobs,
        threads=threads,
        kernels=kernels,
        group=group,
        keep=keep,
        imports=imports,
        executor=executor,
        address=address,
        per_device=per_device,
        track=track,
        on_level=on_level,
        on_record=on_record,
        name=name,
        tags=tags,
        notes=notes,
        until_decided=until_decided,
    )
    return _completed(prepared, progress)


def prepare_tickets(result: RunResult, spec: "Spec", **how: Any) -> Prepared:
    """`prepare` a spec that takes over the tickets of a run, into the same store.

    Args:
        result: the run.
        spec: from `transfer_spec` or `retrain_spec`.
        how: the arguments of `run` that say where and how.

    Raises:
        UsageError: its tickets are not those of the run; something does not fit.
    """
    from lottery_ticket.arms import ARMS

    try:
        prepared = prepare(spec, store=result.store.location, **how)
    except DataError as error:
        if "path" not in result.record.spec["data"]:
            raise
        raise DataError(
            f"{error} If the run's own data have moved, run its spec again first, with "
            "--set data.path=NEW: nothing is trained again, and the run knows the place."
        ) from error
    taken = {row.mask for row in prepared.plan.rows if ARMS[row.arm].mask == "source"} - {None}
    if taken - result.record.cells():
        raise UsageError(
            f"{result.id}: its tickets were found with other data, other code or another version, "
            "and would all be searched for again; run its spec again, and transfer that run"
        )
    return prepared


def _run_tickets(
    result: RunResult, spec: "Spec", *, progress: bool = True, **how: Any
) -> RunResult:
    return _completed(prepare_tickets(result, spec, **how), progress)


def _completed(prepared: Prepared, progress: bool) -> RunResult:
    result = prepared.run(progress=progress)
    assert result.outcome is not None
    check_outcome(result.outcome, "cells")
    return result


def _each(to: object) -> Sequence[object]:
    return to if isinstance(to, list | tuple) else (to,)


def _files_of(
    result: RunResult,
    folder: Path,
    note: Callable[[str], None],
    data_dir: Path | None,
) -> list[tuple[str, Path]]:
    from lottery_ticket.tracking import run_files

    return run_files(result, folder, note, data_dir)


def check_outcome(outcome: "RunOutcome", what: str) -> None:
    """Raise what kept a call from its end."""
    if outcome.failures:
        lines = [f"{len(outcome.failures)} {what} failed; the others were finished, and are kept:"]
        raise LotteryError("\n".join([*lines, *outcome.failure_lines]))
    if outcome.is_stopped:
        raise KeyboardInterrupt("stopped; the same call continues")


def load_run(reference: str = "last", *, store: str | Path | Store | None = None) -> RunResult:
    """A run that is in the store, by id, unique prefix, name or `"last"`.

    Args:
        reference: which run.
        store: the folder or address, or what was opened there; None for `$LOTTERY_STORE`.

    Raises:
        UsageError: there is none, or more than one.
    """
    opened = (
        store
        if isinstance(store, Store)
        else Store(default_store_path() if store is None else store)
    )
    return RunResult(opened, opened.run(reference))


def told_apart(runs: "Sequence[RunResult]", *, but: Collection[str] = ()) -> list[str]:
    """For each of several runs the keys of its recipe that tell it from the others: `"lr=0.1"`.

    Args:
        runs: that are shown together; those of different specs are told apart by their names, too.
        but: keys that are told elsewhere.
    """
    from lottery_ticket.spec import short_labels

    return short_labels([run.record.told for run in runs], but=but, is_named=False)


def _titles(runs: "Sequence[RunResult]") -> list[str]:
    """What heads each of several runs that are reported together."""
    titles = [
        f"{run._labels.name} ({run.record.title})" if run._labels.name else run.record.title
        for run in runs
    ]
    differs = told_apart(runs)
    return [f"{t}: {d}" if d else t for t, d in zip(titles, differs, strict=True)]


def report(
    runs: "Sequence[RunResult]",
    out: str | Path | None = None,
    *,
    format: str = "html",
    margin: float | None = None,
    data_dir: str | Path | None = None,
    data: Mapping[str, Any] | None = None,
) -> "Page":
    """Runs as one self-contained page: verdict first, then figures, tables, and what was run.

    Args:
        runs: what `run` or `load_run` returned.
        out: the file to write; None for none.
        format: `"html"`, a page that opens without a network, or `"markdown"`, for a pull request.
        margin: as of `RunResult.verdict`.
        data_dir: where data files are, for the classes of the test images; where they are not
            found, the page says so.
        data: options of the data sets that are others here: `{"path": "moved.npz"}`.

    Returns:
        The page, a text. A notebook shows it in a frame; where it was written, a link to the file.

    Raises:
        UsageError: no training of a run is finished, there is no such format, or what is at `out`
            is no file.
        StoreError: something in a store is damaged.

    >>> page = report([load_run("quickstart")], "report.html")  # doctest: +SKIP
    """
    from lottery_ticket.files import (
        check_replaceable,
        make_folder,
        usable_path,
        write_file,
        writing,
    )
    from lottery_ticket.report import (
        Page,
        ReportRun,
        content_of,
        html_page,
        markdown_page,
        run_facts,
    )

    pages = {"html": html_page, "markdown": markdown_page}
    if format not in pages:
        raise UsageError(f"format: unknown format {format!r}{nearest(format, pages)}")
    if not runs:
        raise UsageError("runs: got none, wanted at least one")
    if out is not None:
        out = usable_path(out, "out")
        check_replaceable(out)
    contents = []
    for result, title in zip(runs, _titles(runs), strict=True):
        if not result._rows:
            raise UsageError(f"{result.id}: nothing to report yet, no training is finished")
        result._check_measured()
        verdict, reason = result._judged(margin)
        tables = result.tables
        facts = run_facts(result.store, result.record)
        classes = None if verdict is None else result._by_class_or_why(verdict, data_dir, data)
        contents.append(content_of(ReportRun(title, tables, verdict or reason, facts, classes)))
    page = pages[format](contents)
    if out is not None:
        with writing(out) as path:
            make_folder(path.parent)
            write_file(path, page.encode())
    return Page(page).called(", ".join(result.id for result in runs), format, out)
