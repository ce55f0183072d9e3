"""`lottery plan --workers`: what is assumed, and what is forecast."""

import math
from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from lottery_ticket.cli._print import console, print_table, size_text
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.api import Prepared
    from lottery_ticket.experiment import Assumptions, Forecast

__all__ = [
    "Bandwidth",
    "Latency",
    "Losses",
    "Price",
    "Workers",
    "assumptions_of",
    "print_forecasts",
    "worker_counts",
]

_MOST_WORKERS = 100_000

Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,…",
        help="Simulate so many workers that share a store: --workers 1,8,64,512.",
        show_default=False,
    ),
]
Price = Annotated[
    float | None,
    typer.Option(help="Of a worker-hour, for the cost of --workers.", show_default=False),
]
Losses = Annotated[
    float | None,
    typer.Option(
        help="Of a worker in an hour, for --workers; by default none.", show_default=False
    ),
]
Latency = Annotated[
    float | None,
    typer.Option(
        help="Seconds of a request to the store, for --workers; by default 0.05.",
        show_default=False,
    ),
]
Bandwidth = Annotated[
    float | None,
    typer.Option(
        help="MB per second between a worker and the store, for --workers; by default 50.",
        show_default=False,
    ),
]


def worker_counts(text: str) -> list[int]:
    """`"1,8"` → `[1, 8]`; raises `UsageError` for what is no number of workers."""
    counts = []
    for part in text.split(","):
        number = part.strip()
        if not (number.isascii() and number.isdecimal() and 0 < int(number) <= _MOST_WORKERS):
            raise UsageError(
                f"--workers {text}: got {number!r}, wanted whole numbers from 1 to "
                f"{_MOST_WORKERS:,}, such as 1,8,64"
            )
        counts.append(int(number))
    return counts


def assumptions_of(
    *,
    price: float | None,
    losses: float | None,
    latency: float | None,
    bandwidth: float | None,
) -> "Assumptions":
    """What the options say; raises `UsageError` for what makes no sense."""
    from lottery_ticket.experiment import Assumptions

    options = {"price": price, "losses": losses, "latency": latency, "bandwidth": bandwidth}
    for name, value in options.items():
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"--{name}: got {value:g}, wanted a number, 0 or more")
    if bandwidth == 0:
        raise UsageError("--bandwidth: got 0, wanted more than 0 MB per second")
    given = {} if latency is None else Assumptions.latencies(latency)
    if losses is not None:
        given["losses_per_hour"] = losses
    if bandwidth is not None:
        given["bytes_per_second"] = 1e6 * bandwidth
    return Assumptions(**given, price_per_hour=price)


def print_forecasts(
    prepared: "Prepared", forecasts: "Sequence[Forecast]", assumed: "Assumptions"
) -> None:
    """Print a row per number of workers, the longest chain, and what was assumed."""
    from lottery_ticket.progress import time_text

    rows = [
        ["workers", "takes", "busy", "cost", "requests/s", "at peak", "bytes/s", "at the peak",
         "taken over", "bound by"],
        *(_row(found) for found in forecasts),
    ]  # fmt: skip
    kept = [i for i, cells in enumerate(zip(*rows, strict=True)) if any(cells[1:])]
    print_table(
        [[row[i] for i in kept] for row in rows],
        title="workers that share a store, simulated",
        spare=("at the peak", "at peak"),
    )
    first = forecasts[0]
    console.print()
    for text in (
        f"critical path: {time_text(first.critical_seconds)}, {first.critical_path}",
        f"all cells one after the other: {time_text(first.work_seconds)}",
        _assumed_text(prepared, assumed),
    ):
        console.print(fill(text, 80, subsequent_indent="  "))


def _row(found: "Forecast") -> list[str]:
    from lottery_ticket.progress import time_text

    return [
        f"{found.num_workers:,}",
        time_text(found.makespan_seconds),
        f"{100 * found.utilisation:.0f} %",
        "" if found.cost is None else f"{found.cost:,.2f}",
        f"{found.requests_per_second:,.1f}",
        f"{found.peak_requests_per_second:,.0f}",
        size_text(round(found.bytes_per_second)),
        size_text(round(found.peak_bytes_per_second)),
        f"{found.num_repeated:,}" if found.num_repeated else "",
        found.bound,
    ]


def _assumed_text(prepared: "Prepared", assumed: "Assumptions") -> str:
    context = prepared.context
    threads = f"{context.threads} thread{'s' if context.threads > 1 else ''}"
    losses = (
        f"losses per worker-hour: {assumed.losses_per_hour:g}, noticed after "
        f"{assumed.lease_seconds:g} s"
        if assumed.losses_per_hour
        else "no losses"
    )
    return (
        f"assumed: workers as quick as this machine with {threads} on {context.device} (tried "
        "steps; where there are finished cells of the run, what these took), one cell at a time, "
        f"started in {assumed.start_seconds:g} s; {1000 * assumed.request_seconds:g} ms per "
        f"request, {assumed.bytes_per_second / 1e6:g} MB/s, a look for work every "
        f"{assumed.poll_seconds:g} to {assumed.longest_poll_seconds:g} s, a checkpoint every "
        f"{assumed.checkpoint_seconds:g} s or {100 * assumed.checkpoint_share:g} % of the time; "
        f"{losses}"
    )
