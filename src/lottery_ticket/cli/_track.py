"""`lottery track`."""

from typing import Annotated

import typer

from lottery_ticket.cli._options import (
    DataDir,
    Imports,
    RunReference,
    StorePath,
    import_code,
    open_store,
)
from lottery_ticket.cli._print import console

__all__ = ["track"]


def track(
    run: RunReference,
    to: Annotated[
        list[str],
        typer.Option(
            "--to",
            metavar="NAME[=PLACE]",
            help="mlflow, tensorboard, trackio, wandb, or one of your own; mlflow=http://… says "
            "where. Repeatable.",
            show_default=False,
        ),
    ],
    data_dir: DataDir = None,
    imports: Imports = None,
    store: StorePath = None,
) -> None:
    """Send a run to a tracker, as `lottery run --track` would have; what is there is not sent
    again."""
    from lottery_ticket.api import load_run

    import_code(imports)
    result = load_run(run, store=open_store(store))
    done, total = result.track(*to, data_dir=data_dir), len(result.record.rows)
    names = ", ".join(each.partition("=")[0] for each in to)
    console.print(f"{result.id}: {done} of {total} trainings sent to {names}", soft_wrap=True)
