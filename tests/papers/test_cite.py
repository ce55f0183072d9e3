"""What is said of a run is true of it, and whom it rests on is cited."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bibtex_reader import BadBibtexError, read_bibtex
from latex_reader import check_text
from ruamel.yaml import YAML
from small_tables import result_table

import lottery_ticket
from lottery_ticket.analysis import verdict
from lottery_ticket.api import load_run, prepare
from lottery_ticket.experiment.objects.code import REGISTRIES
from lottery_ticket.models import INITIALIZERS
from lottery_ticket.papers import Citation, bibtex, methods, papers, uses
from lottery_ticket.pruning import PIPELINES

ROOT = Path(__file__).parents[2]
OWN_TABLES = {**REGISTRIES, "pipeline": PIPELINES, "init": INITIALIZERS}
SPEC = {
    "name": "tiny",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [12, 8]},
    "train": {"lr": 0.1, "batch_size": 32, "duration": "2ep"},
    "prune": {"rate": 0.5, "levels": 2},
    "arms": ["ticket", "reinit"],
}


def names_of(table):
    """The names of the library's own in a table."""
    entry = getattr(table, "entry", None)
    return [name for name in table if entry is None or not entry(name).is_user]


def check_all_cite(tables, table):
    """The law: each of the library's own has its papers, or is said to have none."""
    for kind, registry in tables.items():
        for name in names_of(registry):
            assert name in table[kind], f"{kind} {name!r} is in no row of citations.toml"
    known = set(papers())
    for kind, rows in table.items():
        for name, keys in rows.items():
            assert set(keys) <= known, f"{kind} {name}"
            assert len(set(keys)) == len(keys)


def test_all_of_the_librarys_own_cite_or_say_that_there_is_no_paper():
    check_all_cite(OWN_TABLES, uses())


@pytest.mark.parametrize("kind", ["criterion", "arm", "policy", "data", "model", "optimizer"])
def test_a_row_that_is_missing_is_caught(kind):
    name = names_of(OWN_TABLES[kind])[0]
    without = {**uses(), kind: {n: keys for n, keys in uses()[kind].items() if n != name}}
    with pytest.raises(AssertionError, match="is in no row"):
        check_all_cite(OWN_TABLES, without)


def test_no_row_is_of_something_that_is_gone():
    for kind, registry in OWN_TABLES.items():
        assert set(uses()[kind]) <= set(registry), kind


def test_every_paper_is_used():
    used = {key for rows in uses().values() for keys in rows.values() for key in keys}
    assert used | {"lotteryticket"} == set(papers())


def test_all_entries_can_be_read():
    entries = read_bibtex(bibtex(papers()))
    assert set(entries) == set(papers())
    for key, (_, fields) in entries.items():
        assert "authors" not in fields  # which is ours
        assert key == "lotteryticket" or fields["year"] in key
        for person in fields["author"].strip("{}").split(" and "):
            assert "," in person or key == "lotteryticket", person
        if "eprint" in fields:
            assert re.fullmatch(r"\d{4}\.\d{4,5}", fields["eprint"])
            assert fields["archiveprefix"] == "arXiv"


@pytest.mark.parametrize(
    ("old", "new"), [("},\n  year", "}\n  year"), ("{Holm", "{{Holm"), ("@article{", "@article "),
                     ("journal", "magazine"), ("1979}", "79}"), ("Sture", "Stüre")],
)  # fmt: skip
def test_entries_that_cannot_be_read_are_caught(old, new):
    good = bibtex(["holm1979simple"])
    read_bibtex(good)
    assert old in good
    with pytest.raises(BadBibtexError):
        read_bibtex(good.replace(old, new, 1))
    with pytest.raises(BadBibtexError, match="twice"):
        read_bibtex(f"{good}\n{good}")


def test_the_citation_file_is_of_this_version():
    cff = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert cff["version"] == lottery_ticket.__version__
    assert cff["title"] == papers()["lotteryticket"]["title"].replace("{", "").replace(
        "}", ""
    ).replace("\\_", "_")
    assert {"cff-version", "message", "authors", "type"} <= cff.keys()
    assert lottery_ticket.__version__ in bibtex(["lotteryticket"])


@pytest.fixture
def cited(tmp_path):
    """What is said of a spec, before anything is trained."""

    def of(**changes):
        spec = {**SPEC, **changes}
        record = prepare(spec, store=tmp_path / "store").submit()
        return load_run(record.id, store=tmp_path / "store").cite()

    return of


def train(**changes):
    return {"train": {**SPEC["train"], **changes}}


def prune(**changes):
    return {"prune": {**SPEC["prune"], **changes}}


@pytest.mark.parametrize(
    ("changes", "said", "keys"),
    [
        ({}, "at a learning rate of 0.1, in batches of 32 for 2 epochs.", []),
        ({}, "We trained LeNet300 (hidden=[12, 8])", ["lecun1998gradient"]),
        ({}, "on digits", ["alpaydin1998optical"]),
        ({}, "The others were set back to their initial values", ["frankle2019lottery"]),
        ({}, "over 2 levels", []),
        ({}, "Each level pruned 50 % of the weights that were left.", []),
        ({}, "Of 6 trainings 0 are finished.", []),
        ({"replicates": 3}, "3 replicates, each with seeds of its own", []),
        ({"seed": 7}, "derived from seed 7.", []),
        ({}, "Everything was done once", []),
        (train(lr=0.03), "at a learning rate of 0.03", []),
        (train(batch_size=64, duration="1ep"), "in batches of 64 for 1 epoch.", []),
        (train(duration="300it"), "for 300 steps.", []),
        (train(momentum=0.9), "momentum 0.9", ["polyak1964methods"]),
        (train(momentum=0.9, nesterov=True), "in Nesterov's form", ["nesterov1983method"]),
        (train(weight_decay=0.01), "weight decay 0.01", []),
        (train(optimizer="adam"), "by Adam", ["kingma2015adam"]),
        (train(optimizer="adamw"), "by AdamW", ["loshchilov2019decoupled"]),
        (train(schedule="cosine"), "fell along a cosine", ["loshchilov2017sgdr"]),
        (train(schedule="step", milestones=["1ep"]), "multiplied by 0.1 after 1 epoch", []),
        (train(warmup="10it"), "warmed up over 10 steps", ["goyal2017accurate"]),
        (train(clip_norm=1.0), "clipped to a norm of 1", ["pascanu2013difficulty"]),
        (train(precision="bf16"), "It computed in bf16.", []),
        (prune(criterion="snip"), "the criterion snip", ["lee2019snip"]),
        (prune(criterion="movement"), "the criterion movement", ["zhou2019deconstructing"]),
        (prune(scope="layerwise"), "compared within each layer", []),
        (prune(scope="layerwise", rates={"fc3.weight": 0.25}), "25 % in fc3.weight", []),
        (prune(ignore=["fc3.weight"]), "fc3.weight stayed dense", []),
        ({"prune": {"densities": [0.5, 0.1], "once": True}}, "pruned once to each of 2 densities",
         []),
        ({"prune": {"scope": "2:4"}}, "in the structure 2:4", ["mishra2021accelerating"]),
        ({"rewind": "5it"}, "set back to their values at step 5", ["frankle2020linear"]),
        ({"rewind": "1ep"}, "set back to their values at epoch 1", ["frankle2020linear"]),
        ({"arms": ["ticket", {"reinit": {"draws": 3}}]}, "3 draws in each replicate", []),
        ({"arms": ["ticket", "lr_rewind"]}, "lr_rewind (", ["renda2020comparing"]),
        ({"arms": ["ticket", "synflow"]}, "synflow (", ["tanaka2020pruning"]),
        ({"arms": ["ticket", "gradual"]}, "gradual (", ["zhu2017prune"]),
        ({"arms": ["ticket", "random"]}, "random (the initial weights under a random mask", []),
        ({"arms": ["ticket", "random"], "rewind": "5it"}, "random (the weights of that step under",
         []),
        ({"model": {**SPEC["model"], "init": "glorot_normal"}}, "initialised by glorot_normal",
         ["glorot2010understanding"]),
        ({"model": {**SPEC["model"], "init": "kaiming_normal"}}, "initialised by kaiming_normal",
         ["he2015delving"]),
    ],
)  # fmt: skip
def test_what_a_spec_says_is_told(cited, changes, said, keys):
    found = cited(**changes)
    assert said in found.text
    assert set(keys) <= set(found.keys)
    plain = cited()
    if changes and keys:  # and it is not told, or cited, of a run that has not used it
        assert said not in plain.text


@pytest.mark.parametrize(
    ("changes", "not_cited"),
    [
        ({}, {"frankle2020linear", "kingma2015adam", "renda2020comparing", "polyak1964methods"}),
        ({"rewind": "5it"}, {"renda2020comparing"}),
        (prune(criterion="small_final"), {"han2015learning"}),
    ],
)
def test_what_was_not_used_is_not_cited(cited, changes, not_cited):
    assert not not_cited & set(cited(**changes).keys)


def test_a_net_that_is_pruned_at_its_start_alone_was_not_searched_for(cited):
    found = cited(arms=["snip"])
    assert "Tickets were searched" not in found.text
    assert "set back" not in found.text
    assert "Beside the ticket" not in found.text
    assert "lee2019snip" in found.keys


@pytest.mark.usefixtures("forgotten")
def test_what_users_brought_is_theirs(cited, tmp_path):
    @lottery_ticket.register_criterion("by_luck")
    def by_luck(weights):
        return {name: weight.abs() for name, weight in weights.items()}

    def half(mask, generator):
        return mask

    lottery_ticket.register_arm("_mine*", mask=half, meaning="Half of 50 % & more.")
    found = cited(**prune(criterion="by_luck"), arms=["ticket", "_mine*"])
    assert "our own criterion by_luck" in found.text
    assert "our own arm _mine* (half of 50 % & more)" in found.text
    check_text(found.latex.replace("~\\cite", "\\label"))
    assert r"by\_luck" in found.latex
    assert r"\_mine\*" in found.markdown


def test_the_test_of_the_verdict_is_the_one_that_was_made():
    from lottery_ticket.store import RunRecord, RunRow

    rows = tuple(RunRow(arm, level, 0, 0, 1024 >> level, f"{level:064x}", None)
                 for arm in ("ticket", "reinit") for level in range(4))  # fmt: skip
    spec = {**SPEC, "rewind": "0it", "arms": [{"name": "ticket"}, {"name": "reinit"}],
            "train": {**SPEC["train"], "optimizer": "sgd"},
            "prune": {"criterion": "magnitude", "scope": "global", "rate": 0.5}}  # fmt: skip
    record = RunRecord("tiny-11111111", 1.0, spec, 1024, {"w": [1024]}, rows)

    def told(found):
        return methods(record, [], found, version="9.9.9")

    table = result_table()
    found = told(verdict(table, margin=0.3))
    assert "by 0.3 points, in test accuracy" in found.text
    assert {"berger1982multiparameter", "welch1947generalization", "holm1979simple"} <= {
        *found.keys
    }
    alone = told(verdict(table.loc[table["replicate"] == 0]))
    assert "there is no verdict" in alone.text
    assert not {"welch1947generalization", "holm1979simple"} & {*alone.keys}
    bare = told(verdict(table.loc[table["arm"] == "ticket"]))
    assert "better than reinit" not in bare.text
    assert "berger1982multiparameter" not in bare.keys
    assert "welch1947generalization" in bare.keys
    assert "9.9.9" in found.text
    assert "A ticket" not in told(None).text


def test_a_search_knows_neither_data_nor_recipe():
    from lottery_ticket.store import RunRecord, RunRow

    rows = tuple(RunRow("ticket", n, 0, 0, 100 >> n, f"{n:064x}", None) for n in range(3))
    pipeline = {"weights_from": "end", "lr_from": "start"}
    spec = {"name": "mine", "model": {"name": "make_net"}, "rewind": "0it", "pipeline": pipeline,
            "prune": {"criterion": "magnitude", "scope": "global"}, "replicates": 1,
            "arms": [{"name": "ticket", "draws": 1}]}  # fmt: skip
    record = RunRecord("mine-11111111", 1.0, spec, 100, {"w": [100]}, rows, searches=("0" * 32,))
    found = methods(record, [], None, version="1")
    assert "make_net (our own model), which has 100 prunable weights in 1 layer" in found.text
    assert "in a training loop of our own" in found.text
    assert "learning rate" not in found.text
    assert "renda2020comparing" in found.keys
    assert "frankle2020linear" not in found.keys
    assert "under a seed of its own" in found.text


def test_forms():
    found = Citation(("a_b", *Citation(()).parts))
    assert (found.text, found.markdown, found.latex) == ("a_b", r"a\_b", r"a\_b")
    assert found.bibtex == ""


def test_pdflatex_and_bibtex_take_it(cited, tmp_path):
    """Where there is a TeX."""
    if not (shutil.which("pdflatex") and shutil.which("bibtex")):
        pytest.skip("no pdflatex")
    found = cited(arms=["ticket", "reinit", "lr_rewind", "snip"], **train(optimizer="adam"))
    (tmp_path / "refs.bib").write_text(bibtex(papers()))
    parts = [r"\documentclass{article}\begin{document}", found.latex, r"\nocite{*}",
             r"\bibliographystyle{plain}\bibliography{refs}\end{document}"]  # fmt: skip
    (tmp_path / "paper.tex").write_text("\n".join(parts))
    tex = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    for command in (tex, ["bibtex", "paper"], tex, tex):
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert said.returncode == 0, said.stdout[-2000:]
        assert command[0] == "pdflatex" or "warning" not in said.stdout.lower(), said.stdout
    assert "undefined" not in said.stdout.lower()
