"""What is said of a run is true of it, and whom it rests on is cited."""

import re
import shutil
import subprocess
from dataclasses import replace
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


SEARCHED = "Tickets were searched for by pruning and training again, over 2 levels"
ONCE = "The trained dense network was pruned once to each of 2 densities"
TRAINED = "Networks of 2 densities were trained beside the dense one"
EACH = "Each level pruned 50 %"
NEXT = "Each density leaves out 50 % of the weights of the one before"
LOWEST = "The weights with the lowest scores were pruned"
HIGHEST = "The weights with the highest scores were pruned"
BACK, AT_STEP = "set back to their initial values", "set back to their values at step 5"
DOWN = "down to 25.00 % of the prunable weights (236)"
SENTENCES = {SEARCHED, ONCE, TRAINED, EACH, NEXT, LOWEST, HIGHEST, BACK, AT_STEP, DOWN}
STEPWISE = {SEARCHED, EACH, LOWEST, BACK, DOWN}
TWO = {"prune": {"densities": [0.5, 0.1], "once": True}}
ELSEWHERE = {"source": {"train": {"lr": 0.2, "batch_size": 32, "duration": "2ep"}}}


@pytest.mark.parametrize(
    ("arms", "changes", "said", "also"),
    [
        ("ticket reinit", {}, STEPWISE, ["Beside the ticket we trained reinit"]),
        ("ticket oneshot", {}, STEPWISE, []),
        ("ticket inverted", {}, STEPWISE, ["(of inverted, those with the highest)"]),
        ("ticket snip random dense_small", {}, STEPWISE, []),
        ("reinit", {}, STEPWISE, ["Of 3 trainings of these arms 0"]),
        ("shuffled", {}, STEPWISE, []),
        ("finetune", {}, STEPWISE - {BACK}, ["the trained weights stay"]),
        ("lr_rewind", {}, STEPWISE - {BACK}, ["the trained weights stay"]),
        ("ticket", {"rewind": "5it"}, STEPWISE - {BACK} | {AT_STEP}, []),
        ("ticket", TWO, {ONCE, LOWEST, BACK}, ["(50.00 %, 9.96 %)"]),
        ("ticket", {"prune": {**TWO["prune"], "once": False}}, {SEARCHED, LOWEST, BACK}, []),
        ("ticket lr_rewind", TWO, {ONCE, LOWEST, BACK}, ["lr_rewind (pruned once: the trained"]),
        ("ticket", {**TWO, "rewind": "5it"}, {ONCE, LOWEST, AT_STEP}, []),
        ("oneshot", {}, {ONCE, NEXT, LOWEST, BACK, DOWN}, []),
        ("oneshot", {"rewind": "5it"}, {ONCE, NEXT, LOWEST, AT_STEP, DOWN}, []),
        ("inverted", {}, {ONCE, NEXT, HIGHEST, BACK, DOWN}, ["and the lowest were kept"]),
        ("inverted", TWO, {ONCE, HIGHEST, BACK}, []),
        ("oneshot inverted", {}, {ONCE, NEXT, LOWEST, BACK, DOWN}, ["(of inverted, those"]),
        ("snip oneshot", {}, {ONCE, NEXT, LOWEST, BACK, DOWN}, []),
        ("snip", {}, {TRAINED, NEXT, DOWN}, ["Scores were compared over all layers together."]),
        ("snip", TWO, {TRAINED}, ["(50.00 %, 9.96 %)", "down to 9.96 %"]),
        ("magnitude_init random dense_small", {}, {TRAINED, NEXT, DOWN}, []),
        ("dense_small magnitude_init", {}, {TRAINED, NEXT, DOWN}, []),
        ("dense_small", {}, {TRAINED}, ["down to 24.47 %"]),
        ("dense_long", {}, set(), ["We trained dense_long"]),
        ("gradual", {}, {TRAINED, NEXT, DOWN}, []),
        ("random", prune(ignore=["fc3.weight"]), {TRAINED, NEXT}, ["before. fc3.weight stayed"]),
        ("transfer", ELSEWHERE, STEPWISE, ["by another recipe were trained here (transfer)"]),
        ("ticket transfer", ELSEWHERE, STEPWISE, ["were trained here too (transfer)"]),
    ],
)  # fmt: skip
def test_how_masks_came_about_is_what_was_done(cited, arms, changes, said, also):
    """Law: of the sentences on it those stand there that are true of the arms, and no others."""
    found = cited(arms=arms.split(), **changes)
    assert {each for each in SENTENCES if each in found.text} == said
    for each in also:
        assert each in found.text
    assert ("Beside the ticket" in found.text) == (arms.startswith("ticket ") and " " in arms)
    if SEARCHED not in said and ONCE not in said:
        assert "set back" not in found.text
        assert "han2015learning" not in found.keys
    for name in arms.split():
        assert f"{name} (" in found.text or name == "ticket"


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
    one = table.loc[(table["replicate"] == 0) & (table["arm"] == "ticket")]
    assert "there is no verdict" in told(verdict(one)).text
    bare = told(verdict(table.loc[table["arm"] == "ticket"]))
    assert "better than reinit" not in bare.text
    assert "there is no verdict" not in bare.text
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


def of_rows(*rows, is_search=True):
    """The record of a search of these (arm, level, replicate, draw); each a cell of its own, but
    for the dense net's."""
    from lottery_ticket.store import RunRecord, RunRow

    made = tuple(
        RunRow(arm, level, replicate, draw, 64 >> level,
               f"{number if level else replicate + 1000:064x}", None)
        for number, (arm, level, replicate, draw) in enumerate(rows)
    )  # fmt: skip
    draws = {row.arm: 1 + max(r.draw for r in made if r.arm == row.arm) for row in made}
    arms = [{"name": arm, "draws": count} for arm, count in draws.items()]
    spec = {"name": "mine", "model": {"name": "make_net"}, "rewind": "0it", "arms": arms,
            "prune": {"criterion": "magnitude", "scope": "global"}, "replicates": 2}  # fmt: skip
    searches = ("0" * 32, "1" * 32) if is_search else ()
    return RunRecord("mine-11111111", 1.0, spec, 64, {"w": [64]}, made, searches=searches)


def tickets(levels, replicate):
    return [("ticket", level, replicate, 0) for level in range(levels + 1)]


def test_what_each_replicate_of_a_search_did_is_told():
    drawn = [("reinit", 2, 0, draw) for draw in range(2)]
    unlike = methods(of_rows(*tickets(2, 0), *tickets(3, 1), *drawn), [], None, version="1").text
    assert "over 2 to 3 levels" in unlike
    assert "2 draws in 1 of 2 replicates" in unlike
    assert "There were 2 replicates, each under a seed of its own; they did not train" in unlike
    assert "Everything" not in unlike
    assert "in each replicate" not in unlike
    once = [("oneshot", 1, 0, 0)]
    text = methods(of_rows(*tickets(2, 0), *tickets(2, 1), *once), [], None, version="1").text
    assert "level by level), in 1 of 2 replicates" in text
    both = [("reinit", 2, replicate, draw) for replicate in range(2) for draw in range(2)]
    alike = methods(of_rows(*tickets(2, 0), *tickets(2, 1), *both), [], None, version="1").text
    assert "2 draws in each replicate" in alike
    assert "Everything was done in 2 replicates" in alike
    more = [*both, ("reinit", 2, 1, 2)]
    text = methods(of_rows(*tickets(2, 0), *tickets(2, 1), *more), [], None, version="1").text
    assert "2 to 3 draws in each replicate" in text


def test_a_training_that_arms_share_is_counted_once():
    shuffled = [("shuffled", level, 0, 0) for level in range(3)]
    record = of_rows(*tickets(2, 0), *shuffled, is_search=False)
    rows = [{"cell": row.cell, "device": "cuda", "train_seconds": 10.0} for row in record.rows]
    assert (len(rows), len({row["cell"] for row in rows})) == (6, 5)
    spec = {**record.spec, "data": {"name": "digits"}}
    record = replace(record, spec=spec)
    text = methods(record, rows, None, version="1").text
    assert "Trainings ran on cuda, in 50 s of training in all." in text
    assert "are finished" not in text
    text = methods(record, rows[:-1], None, version="1").text
    assert "in 40 s of training in all" in text
    assert "Of 5 trainings 4 are finished." in text
    more = replace(record, others=("f" * 64,))  # those of tickets that are no arm have no rows
    assert "; those of the arms took 50 s in all" in methods(more, rows, None, version="1").text


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
