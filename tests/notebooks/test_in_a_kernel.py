"""What a cell shows: figures, reports, and a bar that is updated in place."""

import re

import pytest
from notebook_kernels import executed, interrupted, outputs

from lottery_ticket.progress import NotebookObserver, observer

SMALL = "['replicates=1', 'prune.levels=2', 'train.duration=2ep']"
LONG = "['replicates=1', 'prune.levels=3', 'train.duration=40ep']"

RUN = f"""\
import lottery_ticket
from lottery_ticket.analysis import metric_of
from lottery_ticket.plots import density_figure
result = lottery_ticket.run("quickstart", overrides={SMALL}, jobs=1)
result"""
FIGURE = "density_figure(result.table, metric_of(result.table))"


def test_values_figures_and_reports_show_themselves_once(tmp_path):
    cells = [
        RUN,
        f"figure = {FIGURE}\nfigure",
        "result.report()",
        "result.report(format='markdown')",
        "result.report('report.html')",
        "%matplotlib inline",
        "figure",
        f"import matplotlib.pyplot as plt\n{FIGURE}",
        "import pickle\npickle.loads(pickle.dumps(figure))",
        "result.figures(['density', 'layers'])",
    ]
    shown = executed(cells, tmp_path)
    bar, value = outputs(shown, 0)
    assert "100 % in" in bar["text/html"]
    assert "100 % in" in bar["text/plain"]
    assert 'src="data:image/png;base64,' in value["text/html"]
    assert "6 of 6 trainings finished" in value["text/html"]
    for cell in (1, 6, 7, 8):
        (drawn,) = outputs(shown, cell)  # neither none nor twice
        assert drawn["image/png"].startswith("iVBOR"), cell
    (gallery,) = outputs(shown, 9)
    assert gallery["text/html"].count("data:image/png;base64,") == 2
    assert "<iframe srcdoc=" in outputs(shown, 2)[0]["text/html"]
    assert len(outputs(shown, 2)[0]["text/plain"]) < 100  # not the whole page again
    assert outputs(shown, 3)[0]["text/markdown"].startswith("## ")
    assert 'href="report.html"' in outputs(shown, 4)[0]["text/html"]
    assert (tmp_path / "report.html").is_file()


def is_under_way(shown):
    """Whether a bar of a training is beyond its start."""
    return re.search(r'value="0\.0*[1-9]', shown) is not None


@pytest.mark.slow
def test_a_bar_is_one_display_and_the_same_cell_goes_on_after_an_interrupt(tmp_path):
    run = f"import lottery_ticket\nresult = lottery_ticket.run('quickstart', overrides={LONG})"
    shown = interrupted([run, run, "result.outcome"], tmp_path, until=is_under_way)
    first, *error = shown.cells[0].outputs
    assert "the same cell goes on" in first.data["text/html"]
    assert [output.ename for output in error] == ["KeyboardInterrupt"]
    (again,) = outputs(shown, 1)  # one display, whatever was told meanwhile
    assert re.search(r"100 % in .*cells made", again["text/html"])
    assert "is_stopped" in outputs(shown, 2)[0]["text/html"]


def test_without_a_kernel_there_is_no_bar_of_a_notebook():
    import IPython

    assert IPython.get_ipython() is None
    assert not isinstance(observer(), NotebookObserver)


def test_the_last_notes_alone_are_shown(capsys):
    bar = NotebookObserver()
    for number in range(120):
        bar.note(f"note {number}.")
    last = capsys.readouterr().out.splitlines()[-1]
    assert "note 119." in last
    assert "note 70." in last
    assert "note 69." not in last
