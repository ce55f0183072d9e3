"""`lottery pull`, `lottery push` and `lottery merge`."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any, TextIO, cast

import typer
from rich.console import Console

from lottery_ticket.cli._options import Json, StorePath, open_store
from lottery_ticket.cli._print import console, print_error, print_json, size_text, where_text
from lottery_ticket.errors import UsageError
from lottery_ticket.store import Copied, CopyPlan, CopyStep, Store, copy_runs, plan_copy
from lottery_ticket.streams import StandardError

__all__ = ["merge", "pull", "push"]

_URL_HELP = "The other store: a folder, or s3://bucket/prefix, gs://… or az://…."
Url = Annotated[str, typer.Argument(metavar="URL", help=_URL_HELP, show_default=False)]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        help="Ids, unique prefixes of them, names, or 'last'; by default all runs.",
        show_default=False,
    ),
]
Others = Annotated[list[str], typer.Argument(metavar="URL...", help=_URL_HELP, show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be copied, copy nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the runs' ids alone, when it is done.")]

_INTERRUPTED = 130


def pull(
    url: Url,
    runs: Runs = None,
    dry_run: DryRun = False,
    store: StorePath = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy runs with their cells from another store into this one; again: whatever is missing."""
    plan = plan_copy(_opened(url), open_store(store), runs or ())
    _carry_out([plan], dry_run=dry_run, json=json, quiet=quiet)


def push(
    url: Url,
    runs: Runs = None,
    dry_run: DryRun = False,
    store: StorePath = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy runs with their cells from this store into another; again: whatever is missing."""
    plan = plan_copy(open_store(store), _opened(url), runs or ())
    _carry_out([plan], dry_run=dry_run, json=json, quiet=quiet)


def merge(
    others: Others,
    dry_run: DryRun = False,
    store: StorePath = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy all runs of other stores, of several machines say, into this one."""
    sources = [_opened(other) for other in others]  # a mistake in the last one, too, is said first
    target = open_store(store)
    plans = [plan_copy(source, target) for source in sources]
    _carry_out(plans, dry_run=dry_run, json=json, quiet=quiet)


def _opened(url: str) -> Store:
    if not url:
        raise UsageError("URL: got '', wanted a store: a folder, or s3://bucket/prefix")
    return Store(url)


def _carry_out(plans: Sequence[CopyPlan], *, dry_run: bool, json: bool, quiet: bool) -> None:
    done: list[dict[str, Any]] = []
    for number, plan in enumerate(plans):
        if dry_run:
            copied = plan.foreseen()
        else:
            if number:  # what came from the one before is there by now
                plan = plan_copy(plan.source, plan.target)
            copied = _copied(plan, is_silent=quiet or json)
        done.append({"source": plan.source.location, "target": plan.target.location})
        done[-1] |= {**asdict(copied), "dry_run": dry_run}
        if quiet:
            print("\n".join(copied.runs))
        elif not json:
            _print(plan, copied, dry_run=dry_run)
            if not dry_run:
                _print_namesakes(plan.target, copied)
        for message in copied.damaged:
            print_error(message)
    if json:
        print_json(done)
    if any(each["damaged"] or each["busy"] for each in done):
        raise typer.Exit(1)


def _copied(plan: CopyPlan, *, is_silent: bool) -> Copied:
    try:
        with _steps_shown(plan, is_silent=is_silent) as watch:
            return copy_runs(plan, watch=watch)
    except KeyboardInterrupt:
        print_error("stopped; the same command continues")
        raise typer.Exit(_INTERRUPTED) from None


@contextlib.contextmanager
def _steps_shown(plan: CopyPlan, *, is_silent: bool) -> Iterator[Callable[[CopyStep], None] | None]:
    """Shows on a terminal how much has been copied; elsewhere nothing."""
    standard_error = Console(file=cast("TextIO", StandardError()))
    if is_silent or not standard_error.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=standard_error, transient=True) as bar:
        expected = plan.foreseen()
        task = bar.add_task(f"{expected.num_copied} cells", total=expected.num_bytes)
        yield lambda step: bar.advance(task, step.num_bytes)


def _print(plan: CopyPlan, copied: Copied, *, dry_run: bool) -> None:
    verb = "would be copied" if dry_run else "copied"
    time_taken = "" if dry_run else f", in {copied.seconds:.1f} s"
    said = (
        f"{plan.target.location}: {len(copied.runs)} runs; {copied.num_copied} cells {verb} "
        f"({size_text(copied.num_bytes)}), {copied.num_present} there already{time_taken}"
    )
    for line in (said, *_left_out(plan, copied), *copied.notes):
        console.print(line, soft_wrap=True)


def _print_namesakes(target: Store, copied: Copied) -> None:
    """Each had its name to itself, in its own store."""
    runs = defaultdict[str, list[str]](list)
    for run_id, labels in sorted(target.labels().items()):
        runs[labels.name].append(run_id)
    for name, ids in runs.items():
        if name and len(ids) > 1 and {*ids} & {*copied.runs}:
            both = f"{', '.join(ids)} are all called {name!r}"
            rename = f"lottery edit {ids[-1]} --name NAME{where_text(target)}"
            console.print(f"{both}; `{rename}` tells them apart", soft_wrap=True)


def _left_out(plan: CopyPlan, copied: Copied) -> list[str]:
    reasons = {
        f"hold something else there than in {plan.source.location} (another machine trained them, "
        "say); they stay as they are": copied.differing,
        "were left out, since what they were made from is another there; `lottery run` makes "
        "them": copied.unfit,
        "were left out, since they, or what they were made from, are being made there; run the "
        "same command again later": copied.busy,
    }
    return [f"{len(names)} cells {reason}" for reason, names in reasons.items() if names]
