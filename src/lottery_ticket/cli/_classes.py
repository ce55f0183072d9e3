"""`lottery classes`."""

from typing import Annotated

import typer

from lottery_ticket.cli._options import (
    DataDir,
    DataOptions,
    Imports,
    Json,
    RunReference,
    StorePath,
    data_options,
    import_code,
)
from lottery_ticket.cli._print import console, print_json

__all__ = ["classes"]

OneLevel = Annotated[
    int | None,
    typer.Option(
        help="Of which ticket; by default the one that `verdict` speaks of.", show_default=False
    ),
]


def classes(
    run: RunReference = "last",
    level: OneLevel = None,
    data_dir: DataDir = None,
    data: DataOptions = None,
    imports: Imports = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Say whom pruning hurts: the ticket minus dense in each class of the test set."""
    from lottery_ticket.api import load_run

    import_code(imports)
    result = load_run(run, store=store)
    found = result.by_class(level, data_dir=data_dir, data=data_options(data))
    if json:
        print_json(found.to_dict())
    else:
        console.print(str(found), soft_wrap=True, highlight=False)
