"""Masks and tickets beside a model: in its folder, and on a Hub of this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_server import serving
from huggingface_hub import ModelCard
from ruamel.yaml import YAML
from transformers import AutoModel, BertConfig, BertForSequenceClassification, BertModel

from lottery_ticket import PruningMask, Ticket, prune
from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.hub import TAGS
from lottery_ticket.tickets import ModelOrigin, WeightsOrigin

TICKET, MASK = "ticket.safetensors", "pruning_mask.safetensors"


def bert():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 48}
    return BertModel(BertConfig(vocab_size=65, num_attention_heads=2, **sizes))


@pytest.fixture
def ticket():
    model = bert()
    mask = prune(model, sparsity=0.9)
    return Ticket(mask, WeightsOrigin(model.state_dict(), step=7), {"accuracy": 0.5})


def saved_model(mask, folder):
    """As its owner saves it: trained, zero where pruned."""
    model = bert()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.25)
    mask.apply(model).save_pretrained(folder)
    return model


def test_beside_a_model(ticket, tmp_path):
    model = saved_model(ticket.mask, tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    ticket.save_pretrained(tmp_path, base_model="me/bert-tiny")
    ticket.mask.save_pretrained(tmp_path)
    assert Ticket.from_pretrained(tmp_path) == ticket
    assert PruningMask.from_pretrained(str(tmp_path)) == ticket.mask
    loaded = AutoModel.from_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    for name, kept in ticket.mask.items():
        value = loaded.get_parameter(name)
        assert torch.equal(value, model.get_parameter(name))
        assert not value[~kept].any()
        assert value[kept].all()


def test_a_model_without_its_mask_is_refused(ticket, tmp_path):
    bert().save_pretrained(tmp_path)
    for each in (ticket, ticket.mask):
        with pytest.raises(UsageError, match=r"query\.weight' is not zero where the mask prunes"):
            each.save_pretrained(tmp_path)
    assert not {TICKET, MASK, "README.md"} & {path.name for path in tmp_path.iterdir()}


def with_head(**sizes):
    torch.manual_seed(1)
    known = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 48} | sizes
    return BertForSequenceClassification(BertConfig(vocab_size=65, num_attention_heads=2, **known))


def test_a_model_with_a_head_is_held_against_the_mask_of_one_without(ticket, tmp_path):
    whole = with_head()
    whole.save_pretrained(tmp_path / "whole")
    with pytest.raises(UsageError, match=r"query\.weight' is not zero"):
        ticket.mask.save_pretrained(tmp_path / "whole")
    of_whole = prune(whole, sparsity=0.5)
    whole.bert.save_pretrained(tmp_path / "part")
    with pytest.raises(UsageError, match=r"query\.weight' is not zero"):
        of_whole.save_pretrained(tmp_path / "part")
    of_whole.apply(whole).bert.save_pretrained(tmp_path / "part")
    of_whole.save_pretrained(tmp_path / "part")


@pytest.mark.parametrize(
    "other", [lambda: torch.nn.Linear(4, 4), lambda: with_head(hidden_size=64)], ids=["net", "size"]
)
def test_the_mask_of_another_model_is_refused(other, tmp_path):
    bert().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="it is another model's"):
        prune(other(), sparsity=0.5).save_pretrained(tmp_path)
    assert not (tmp_path / MASK).exists()


@pytest.mark.parametrize("tags", ["5", "mine", "[a, b]", "{a: 1}", ""])
def test_tags_of_any_kind_stay(tags, ticket, tmp_path):
    card = tmp_path / "README.md"
    card.write_text(f"---\ntags: {tags}\n---\nmine")
    ticket.save_pretrained(tmp_path)
    found = YAML(typ="safe").load(card.read_text().split("---")[1])["tags"]
    before = YAML(typ="safe").load(tags)
    own = before if isinstance(before, list) else [] if before is None else [before]
    assert found == [*own, *TAGS]


@pytest.mark.parametrize("place", [5, None, b"here", "a\0b", [], True])
def test_places_that_can_be_none(place, ticket):
    for function in (
        Ticket.from_pretrained, PruningMask.from_pretrained,
        ticket.save_pretrained, ticket.mask.save_pretrained,
    ):  # fmt: skip
        with pytest.raises(UsageError, match="wanted a folder"):
            function(place)


def test_the_card(ticket, tmp_path):
    saved_model(ticket.mask, tmp_path)
    ticket.save_pretrained(tmp_path, base_model="me/bert-tiny")
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.base_model == "me/bert-tiny"
    assert card.data.library_name == "transformers"
    assert {"lottery-ticket-hypothesis", "pruning", "sparsity"} <= set(card.data.tags)
    assert card.data.to_dict()["sparsity"] == pytest.approx(ticket.mask.sparsity, abs=1e-6)
    mask = ticket.mask
    assert f"{mask.num_kept:,} of {mask.num_prunable:,} prunable weights are kept" in card.text
    assert "weights of step 7, which are in the file" in card.text
    assert "| accuracy | 0.5 |" in card.text


def code_in(text):
    return text.partition("```python\n")[2].partition("```")[0]


def test_the_cards_code_runs(ticket, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    model = saved_model(ticket.mask, folder)
    ticket.save_pretrained(folder)
    monkeypatch.chdir(tmp_path)
    names = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=0.1)}
    exec(code_in((folder / "README.md").read_text()), names)
    assert all(not model.get_parameter(name)[~kept].any() for name, kept in ticket.mask.items())
    names["ticket"].mask.detach()


OTHERS = """---
license: mit
tags: [mine]
library_name: other
---

# My model

It is good.
"""


def test_what_others_wrote_stays(ticket, tmp_path):
    card = tmp_path / "README.md"
    card.write_text(OTHERS)
    ticket.mask.save_pretrained(tmp_path)
    first = card.read_text()
    ticket.mask.save_pretrained(tmp_path)
    assert card.read_text() == first  # a section is replaced, not repeated
    data = ModelCard.load(card).data
    assert (data.license, data.tags[0], data.library_name) == ("mit", "mine", "other")
    assert "# My model\n\nIt is good.\n" in first
    assert first.count("## Pruning mask") == 1


def test_a_ticket_of_a_model_of_this_library(tmp_path):
    mask = PruningMask.from_tensors({"fc3.weight": torch.eye(10, 100, dtype=torch.bool)})
    Ticket(mask, ModelOrigin.of("LeNet300", seed=3)).save_pretrained(tmp_path / "new" / "folder")
    text = (tmp_path / "new" / "folder" / "README.md").read_text()
    assert "Training starts from LeNet300 as seed 3 draws it." in text
    assert ModelCard(text).data.library_name == "lottery_ticket"
    assert Ticket.from_pretrained(tmp_path / "new" / "folder").density == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("name", "content", "error", "reason"),
    [
        ("README.md", "---\na: [\n---\n", DataError, "front matter is no YAML"),
        ("config.json", "{", DataError, "not a readable model configuration"),
        ("model.safetensors", "x", DataError, "not a readable model"),
    ],
)
def test_damaged_folders(name, content, error, reason, ticket, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=reason):
        ticket.save_pretrained(tmp_path)
    assert not (tmp_path / TICKET).exists()


def test_folders_that_are_none(ticket, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        ticket.save_pretrained(tmp_path / "file")
    with pytest.raises(UsageError, match=r"has no ticket\.safetensors; save_pretrained writes it"):
        Ticket.from_pretrained(tmp_path)
    with pytest.raises(UsageError, match="neither a folder nor the id of a repository"):
        Ticket.from_pretrained(tmp_path / "nowhere" / "at" / "all")


CLIENT = """
import json, sys
from pathlib import Path
import torch
sys.path.insert(0, str(Path(sys.argv[1])))
from test_pretrained import bert
from lottery_ticket import PruningMask, Ticket, prune
from lottery_ticket.errors import LotteryError
from lottery_ticket.tickets import WeightsOrigin

said = {}
def trying(name, call):
    try:
        said[name] = call()
    except LotteryError as error:
        said[name] = [type(error).__name__, str(error)]

model = bert()
mask = prune(model, sparsity=0.9)
ticket = Ticket(mask, WeightsOrigin(model.state_dict()))
if sys.argv[2] == "push":
    trying("push", lambda: ticket.push_to_hub("me/new", token="hf_x", base_model="me/bert"))
    trying("mask", lambda: mask.push_to_hub("me/known", token="hf_x", commit_message="Prune"))
    trying("pull", lambda: Ticket.from_pretrained("me/new") == ticket)
    trying("pull mask", lambda: PruningMask.from_pretrained("me/known") == mask)
    trying("no file", lambda: PruningMask.from_pretrained("me/new"))
    trying("no repository", lambda: Ticket.from_pretrained("me/nobody"))
    trying("no revision", lambda: Ticket.from_pretrained("me/new", revision="v2"))
else:
    trying("kept", lambda: Ticket.from_pretrained("me/new") == ticket)
    trying("never", lambda: PruningMask.from_pretrained("me/other"))
    trying("push", lambda: ticket.push_to_hub("me/new", token="hf_x"))
print(json.dumps(said))
"""


def client(url, cache, step, **environment):
    """What a process of its own says: the Hub's client reads where the Hub is when imported."""
    settings = {"HF_ENDPOINT": url, "HF_HOME": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(Path(__file__).parent), step],
        env={**os.environ, **settings, **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_on_the_hub(tmp_path):
    with serving() as hub:
        hub.repositories["me/known"] = {"README.md": OTHERS.encode(), "model.safetensors": b"large"}
        said = client(hub.url, tmp_path, "push")
        files = hub.repositories
        assert said["push"] == f"{hub.url}/me/new/commit/{'1' * 40}"
        assert set(files["me/new"]) == {TICKET, "README.md"}
        assert set(files["me/known"]) == {MASK, "README.md", "model.safetensors"}
        assert "It is good." in files["me/known"]["README.md"].decode()
        assert "from_pretrained('me/new')" in files["me/new"]["README.md"].decode()
        assert ModelCard(files["me/new"]["README.md"].decode()).data.base_model == "me/bert"
        assert said["pull"] is True
        assert said["pull mask"] is True
        reasons = {name: said[name] for name in ("no file", "no repository", "no revision")}
        assert {kind for kind, _ in reasons.values()} == {"UsageError"}
        assert f"me/new: the repository has no {MASK}" in reasons["no file"][1]
        assert "me/nobody: neither a folder nor a repository" in reasons["no repository"][1]
        assert "me/new: the repository has no such revision" in reasons["no revision"][1]
        hub.is_down = True
        offline = client(hub.url, tmp_path, "offline", HF_HUB_OFFLINE="1")
        assert offline["kept"] is True  # as it was downloaded
        assert offline["never"][0] == "LotteryError"
        assert "was not downloaded before" in offline["never"][1]
        assert "HF_HUB_OFFLINE is set" in offline["push"][1]


@pytest.mark.slow  # the Hub's client tries again for half a minute
def test_a_hub_that_is_down(tmp_path):
    with serving() as hub:
        hub.repositories["me/known"] = {"README.md": OTHERS.encode(), "model.safetensors": b"large"}
        client(hub.url, tmp_path, "push")
        hub.is_down = True
        down = client(hub.url, tmp_path, "down")
        assert down["kept"] is True
        assert down["push"][0] == "LotteryError"
        assert "me/new: the Hub cannot be reached, or refuses" in down["push"][1]


MISSING = """
import sys
sys.modules["huggingface_hub"] = None
from lottery_ticket import Ticket
from lottery_ticket.errors import UsageError
try:
    Ticket.from_pretrained("me/new")
except UsageError as error:
    print(error)
"""


def test_without_the_hubs_client(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MISSING], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "me/new: no folder is called so, and the Hugging Face Hub needs huggingface_hub, not "
        "installed here: pip install 'lottery-ticket[hub]'\n"
    )
