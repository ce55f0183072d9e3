"""Several runs on one table."""

import pandas as pd
import pytest
from tables import table_of

from lottery_ticket.analysis import compare, verdict
from lottery_ticket.errors import UsageError

WINNING = {
    "ticket": {0: [0.98, 0.981, 0.9795], 1: [0.9801, 0.9803, 0.9805]},
    "reinit": {0: [0.979, 0.98, 0.9792], 1: [0.96, 0.9613, 0.9606]},
}
LOSING = {
    "ticket": {0: [0.98, 0.981, 0.9795], 1: [0.9501, 0.9503, 0.9505]},
    "reinit": {1: [0.96, 0.9613, 0.9606]},
}


def test_a_row_per_run():
    about = {"criterion": "magnitude", "scope": "global", "data": "mnist", "model": "LeNet300"}
    table = compare(
        [
            verdict(table_of(WINNING), about=about),
            verdict(table_of(LOSING).assign(run="s"), about={**about, "criterion": "random"}),
        ]
    )
    first, second = table.to_dict("records")
    assert (first["run"], first["criterion"], first["n"]) == ("r", "magnitude", 3)
    assert (first["verdict"], first["level"], first["num_kept"]) == ("winning", 1, 512)
    assert (first["density"], first["matching_density"], first["search_steps"]) == (0.5, 0.5, 100)
    assert first["minus_reinit"] == pytest.approx(0.0196666, abs=1e-6)
    assert first["ticket"] - first["dense"] == pytest.approx(first["minus_dense"])
    assert first["margin"] == 0.002
    assert (second["run"], second["criterion"], second["verdict"]) == (
        "s",
        "random",
        "not a ticket",
    )
    for column in ("level", "num_kept", "density", "ticket", "minus_dense", "search_steps"):
        assert pd.isna(second[column]), column
    assert first["rewind"] is None


def test_what_cannot_be_compared():
    with pytest.raises(UsageError, match="got no run"):
        compare([])
    loss = verdict(table_of(WINNING, column="test_loss"))
    with pytest.raises(UsageError, match="judged by test accuracy and test loss"):
        compare([verdict(table_of(WINNING)), loss])
