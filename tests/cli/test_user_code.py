"""`--import`: a user's own model and data, in worker processes too."""

import json
from pathlib import Path

import pytest
from tiny_command import TINY

from lottery_ticket.arms import ARMS
from lottery_ticket.data import DATASETS
from lottery_ticket.models import MODELS
from lottery_ticket.store import Store

MODULE = """
import torch
from torch import nn
from lottery_ticket import register_dataset, register_model
from lottery_ticket.data import DataSet, Split, content_digest
from nearby import activation

@register_model("my-net")
def my_net(input_size: int, num_classes: int, width: int = 6) -> nn.Module:
    return nn.Sequential(nn.Linear(input_size, width), activation(), nn.Linear(width, num_classes))

@register_dataset("my-blobs")
def my_blobs(data_dir, per_class: int = 20) -> DataSet:
    y = torch.arange(3).repeat(per_class)
    x = torch.randn(len(y), 4, generator=torch.Generator().manual_seed(0)) + y[:, None]
    split = Split(x, y)
    digest = content_digest({"x": x, "y": y})
    return DataSet("my-blobs", split, None, split, "classification", 3, digest)
"""
SPEC = """
name: mine
data: {name: my-blobs, per_class: 30}
model: {name: my-net, width: 7}
train: {lr: 0.1, batch_size: 32, duration: 3ep}
prune: {rate: 0.5, levels: 1}
arms: [ticket, reinit]
"""


pytestmark = pytest.mark.usefixtures("forgotten")


def test_a_users_model_and_data(lottery, tmp_path, capfd):
    for folder in ("own", "changed"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(MODULE)
        (tmp_path / folder / "nearby.py").write_text("from torch.nn import ReLU as activation")
    (tmp_path / "mine.yaml").write_text(SPEC)
    (tmp_path / "random.py").write_text("1 / 0")  # in nobody's way
    # a file and its neighbour; workers import them as well
    said = lottery("run", "mine.yaml", "--import", "own/mine.py", "--jobs", 2, "--quiet")
    assert (said.code, said.err) == (0, "")
    assert capfd.readouterr() == ("", "")  # the workers say nothing
    store = Store(tmp_path / "store")
    (run,) = store.runs()
    assert said.out == f"{run.id}\n"
    assert run.id.startswith("mine-")
    assert len(store.cell_names()) == 5
    assert run.layers == {"0.weight": [7, 4], "2.weight": [3, 7]}

    # other source, other results: nothing of the old one is taken for the new one
    plan = ("plan", "mine.yaml", "--json", "--import")
    assert json.loads(lottery(*plan, "own/mine.py").out)["num_finished"] == 5
    (tmp_path / "changed" / "mine.py").write_text(MODULE.replace("activation()", "nn.Tanh()"))
    changed = json.loads(lottery(*plan, "changed/mine.py").out)
    assert (changed["num_cells"], changed["num_finished"]) == (5, 0)
    assert not {cell["cell"] for cell in changed["cells"]} & store.cell_names()


def test_user_code_that_fails(lottery, tmp_path):
    (tmp_path / "mine.py").write_text("import no_such_module")
    said = lottery("run", "quickstart", "--import", "mine.py")
    assert said.code == 2
    assert said.err == (
        "error: --import mine.py: ModuleNotFoundError: No module named 'no_such_module' (mine.py, "
        "line 1); no_such_module is neither installed nor beside the file: install it, or put it "
        "there\n"
    )


SPLIT = """
import torch
from torch.utils.data import TensorDataset
from lottery_ticket import register_dataset, register_model
from blocks import Net

register_model("split-net")(Net)

@register_dataset("split-blobs")
def blobs(data_dir, file: str = "here.txt"):
    open(file).close()
    y = torch.arange(90) % 3
    x = torch.randn(90, 4, generator=torch.Generator().manual_seed(0)) + y[:, None]
    return TensorDataset(x, y)
"""
BLOCKS = """
from torch import nn

class Net(nn.Module):
    def __init__(self, input_size: int, num_classes: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(input_size, 6), nn.Linear(6, num_classes)

    def forward(self, x):
        return self.fc2(self.fc1(x).relu())
"""


@pytest.fixture
def own_run(lottery, tmp_path):
    """A finished run of a user's model and data, whose code is forgotten again."""
    for folder in ("own", "copy"):  # imported from the one, it can be anew from the other
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(SPLIT)
        (tmp_path / folder / "blocks.py").write_text(BLOCKS)
    (tmp_path / "here.txt").touch()
    spec = SPEC.replace("{name: my-blobs, per_class: 30}", "{name: split-blobs}")
    spec = spec.replace("{name: my-net, width: 7}", "{name: split-net}").replace(", reinit", "")
    (tmp_path / "mine.yaml").write_text(spec)
    done = lottery(
        "run", "mine.yaml", "--import", "own/mine.py", "--jobs", 1, "--threads", 1, "--quiet"
    )
    assert (done.code, done.err) == (0, "")
    for registry, name in ((DATASETS, "split-blobs"), (MODELS, "split-net")):
        registry.remove(name)
    return lottery


CODE = ("--import", "copy/mine.py")
EXPORT = ("export", "last", "--level", 1, "--out", "out")


@pytest.mark.parametrize(
    "command",
    [EXPORT, ("bench-export", "last", "--level", 1), ("transfer", "last", "--set", "train.lr=0.2")],
)
def test_what_needs_the_code_says_so(own_run, command):
    said = own_run(*command)
    assert said.code == 2
    assert "its data set 'split-blobs' is code of yours; say where with --import" in said.err
    assert own_run("report").code == 0
    said = own_run("run", "mine.yaml")
    assert "unknown data set 'split-blobs'; valid: " in said.err
    assert "; one of your own is registered with --import FILE.py" in said.err


ARM = """
from lottery_ticket import register_arm

register_arm("odd", mask="oneshot", criterion="random", shows="odd masks", color="#AA4499",
             marker="P")
"""


@pytest.fixture
def odd_run(lottery, tmp_path):
    """A run with an arm of a user, whose code is forgotten again."""
    (tmp_path / "own.py").write_text(ARM)
    arms = ("--set", "arms=[ticket, odd]", "--set", "replicates=2", "--import", "own.py")
    assert lottery(*TINY, *arms).code == 0
    ARMS.remove("odd")
    return lottery


@pytest.mark.parametrize(
    ("command", "word"),
    [
        (("verdict",), "odd masks"),
        (("table", "--format", "csv"), ",random,"),
        (("plot", "--format", "svg", "--out", "NAME"), "#aa4499"),
        (("compare", "last", "--out", "NAME.svg"), None),  # shows what is common to all runs
    ],
)
def test_what_shows_a_run_knows_the_arms_of_its_code(command, word, odd_run, tmp_path):
    """Their words, criterion, colour and marker."""
    (tmp_path / "copy.py").write_text(ARM)  # what was imported is not imported anew
    shown = []
    for name, code in (("without", ()), ("with", ("--import", "copy.py"))):
        said = odd_run(*(part.replace("NAME", name) for part in command), *code)
        assert (said.code, said.err) == (0, "")
        shown.append(said.out + "".join(p.read_text() for p in Path(name).glob("*.svg")))
    assert "odd" in ARMS
    if word is not None:
        assert [word in text for text in shown] == [False, True]


METRIC = """
from lottery_ticket import register_metric

@register_metric("top2")
def top2(outputs, targets):
    return (outputs.topk(2, dim=1).indices == targets[:, None]).any(1).float()

@register_metric("nan")
def nan(outputs, targets):
    return outputs.sum() * float("nan")
"""


def test_a_metric_of_ones_own_is_in_the_text_table(lottery, tmp_path):
    (tmp_path / "mine.py").write_text(METRIC)
    own = (*TINY, "--import", "mine.py", "--set")
    assert lottery(*own, "train.metric=top2").code == 0
    header, row, *_ = lottery("table").out.splitlines()[1:]
    first = json.loads(lottery("table", "--format", "json").out)[0]
    place = header.split().index("test_top2")
    assert row.split()[place : place + 2] == [
        f"{first[name]:.4f}" for name in ("test_metric", "test_accuracy")
    ]
    # one that is no number is said, and where the results are all the same
    said = lottery(*own, "train.metric=nan")
    assert said.code == 0
    assert "the metric 'nan' was no number (NaN or infinite) in any of" in said.out
    assert "results: " in said.out


def test_own_data_that_moved(own_run, tmp_path):
    (tmp_path / "here.txt").rename(tmp_path / "there.txt")
    said = own_run(*EXPORT, *CODE)
    assert said.code == 1
    assert "give them with --data (data={…} from Python), such as --data path=NEW" in said.err
    assert not (tmp_path / "out").exists()
    assert own_run(*EXPORT, "--data", "file=there.txt").code == 0


@pytest.mark.slow
def test_memory_of_a_users_model_is_measured(own_run):
    """In fresh processes, which cannot import what lies beside a file."""
    quick = ("--format", "packed", "--no-compiled", "--seconds", 0.01, "--json")
    said = own_run("bench-export", "last", "--level", 1, *CODE, *quick)
    assert not [note for note in json.loads(said.out)["notes"] if "was not measured" in note]
