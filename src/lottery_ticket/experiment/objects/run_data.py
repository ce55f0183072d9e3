"""The data of a run that is in the store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lottery_ticket.data import DataSet, dataset_options, load_dataset
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.experiment.objects.code import check_registered
from lottery_ticket.spec import Spec, spec_from_mapping
from lottery_ticket.store import CellRecord, RunRecord

__all__ = ["run_data", "run_spec"]


def run_spec(run: RunRecord, data: Mapping[str, Any]) -> Spec:
    """The spec of a run, with the options of its data set as they are here.

    Raises:
        UsageError: an option decides which examples there are, the run's code is not imported, or
            it is a search's and came from no spec.
    """
    check_registered(run)
    for name in ("name", "validation", "limit"):
        if name in data:
            raise UsageError(
                f"--data {name}: this decides which examples there are, and stays as it was; give "
                "options that say where or how these are found, such as path"
            )
    values = {**run.spec, "data": {**run.spec["data"], **data}}
    return spec_from_mapping(values, run.id)


def run_data(run: RunRecord, spec: Spec, record: CellRecord, data_dir: Path | None) -> DataSet:
    """The data that a training of a run was made with.

    Args:
        run: the run.
        spec: what `run_spec` returned.
        record: of the training.
        data_dir: where data files are; None for `$LOTTERY_DATA`, else a per-user cache.

    Raises:
        DataError: they are not to be had, or are others by now.
    """
    said = spec.data_said
    try:
        data = load_dataset(said.name, data_dir=data_dir, **said.options)
    except DataError as error:
        if not dataset_options(said.name).keys() - {"validation", "limit"}:
            raise
        raise DataError(
            f"{error} Where the options of this run's data are others by now, give them with "
            "--data (data={…} from Python), such as --data path=NEW."
        ) from error
    if data.digest != record.input("data")["digest"]:
        raise DataError(
            f"{spec.data.name}: the data here are not those that {run.id} was trained on (digest "
            f"{data.digest[:12]}…, then {record.input('data')['digest'][:12]}…)"
        )
    return data
