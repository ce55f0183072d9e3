"""`lottery list`."""

import time

from lottery_ticket.cli._options import Json, StorePath, open_store
from lottery_ticket.cli._print import console, print_json, print_table

__all__ = ["list_runs"]


def list_runs(store: StorePath = None, json: Json = False) -> None:
    """List the runs in the store, the oldest first."""
    opened = open_store(store)
    finished = opened.cells().keys()  # one that is damaged is made again
    runs = [
        {
            "run": run.id,
            "data": run.data_name,
            "model": run.spec["model"]["name"],
            "arms": [arm["name"] for arm in run.spec["arms"]],
            "replicates": run.spec.get("replicates", 1),
            "finished": len(run.cells() & finished),
            "cells": len(run.cells()),
            "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created)),
        }
        for run in opened.runs()
    ]
    if json:
        print_json(runs)
        return
    if not runs:
        console.print(f"{opened.location}: no runs yet; start one with `lottery run quickstart`")
        return
    rows = [["run", "data", "model", "arms", "replicates", "finished", "created"]]
    for run in runs:
        share = f"{run['finished']} of {run['cells']}"
        place = [run["run"], run["data"], run["model"], ", ".join(run["arms"])]
        rows.append([*place, str(run["replicates"]), share, run["created"]])
    print_table(rows, num_left=4, spare=("created",))
