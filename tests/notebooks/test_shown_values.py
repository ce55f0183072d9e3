"""What a user meets shows itself as HTML: short, well-formed, escaped, without scripts."""

import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from html.parser import HTMLParser

import pytest
import torch
from pydantic import BaseModel
from samples import HOSTILE, odd_values, of_a_run, of_a_search

import lottery_ticket
from lottery_ticket.display import SHOWN, html_of

VOID = {"img", "br", "hr"}
ALLOWED = {
    *("div", "span", "table", "thead", "tbody", "tr", "th", "td", "img", "pre", "details"),
    *("summary", "ul", "li"),
}
MOST_BYTES = 200_000


class Reader(HTMLParser):
    """Checks that tags are known and closed in order, and keeps the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED, tag
        for name, value in attrs:
            assert name in {"style", "title", "src", "alt", "width", "colspan"}, name
            assert name != "src" or value.startswith("data:image/png;base64,")
            assert "url(" not in value
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def text_of(html):
    """What is read; the HTML is checked on the way."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader.text


@pytest.mark.parametrize(
    "wrong",
    [
        "<div><script>1</script></div>",
        "<div onclick='1'>x</div>",
        "<div><span>x</div></span>",
        "<div>",
        "<img src='https://example.org/x.png'>",
        "<div style='background:url(x)'></div>",
    ],
)
def test_html_that_is_not_harmless_is_caught(wrong):
    with pytest.raises((AssertionError, IndexError)):
        text_of(wrong)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return of_a_run(folder / "store", folder / "out") | of_a_search()


def test_every_kind_shows_itself(samples):
    for name, value in samples.items():
        html = value._repr_html_()
        text = text_of(html)
        assert text.strip(), name
        assert "cannot be shown" not in text, name
        assert len(html) < MOST_BYTES, name
    assert {name.split()[0] for name in samples} >= set(SHOWN)


def test_what_is_said_is_what_was_found(samples):
    mask, result = samples["PruningMask"], samples["RunResult"]
    text = text_of(mask._repr_html_())
    for name, kept in mask.items():
        assert name in text
        assert f"{int(kept.sum()):,}" in text
    text = text_of(result._repr_html_())
    assert result.verdict().sentence in text
    for level in result.summary.to_dict("records"):
        assert f"{level['num_kept']:,}" in text
    assert f"{samples['Ticket'].mask.num_kept:,} of" in text_of(samples["Ticket"]._repr_html_())


def test_odd_values_are_short_and_harmless(samples):
    for name, value in odd_values(samples["RunResult"]).items():
        html = value._repr_html_()
        text = text_of(html)
        assert "cannot be shown" not in text, name
        assert len(html) < MOST_BYTES, name
        assert "<script" not in html, name
        assert "<img src=x" not in html, name
    assert HOSTILE[:20] in text_of(
        odd_values(samples["RunResult"])["a mask of 500 layers"]._repr_html_()
    )


def test_a_value_that_cannot_be_shown_says_why():
    class Broken(lottery_ticket.PruningMask):
        @property
        def num_kept(self):
            raise ValueError("<no> count")

    broken = Broken.from_tensors({"w": torch.ones(1, dtype=torch.bool)})
    assert "It cannot be shown here: <no> count" in text_of(html_of(broken))


# records of a few short fields: their text says all of it, in one line
SAID_IN_TEXT = {
    *("Advice", "Claim", "Contrast", "Contrasts", "Cost", "Finding", "Judgement", "LevelVerdict"),
    *("Look", "Looks"),
    *("Metric", "Spread", "Unlike", "Asked", "Budget", "Moment", "Structure", "Criterion"),
    *("Augmentation", "Normalisation", "PadCropFlip", "Widths", "Format", "Pipeline", "Densities"),
    *(
        "Glance",
        "Iterative",
        "Polynomial",
        "Evolving",
        "Gradual",
        "StaticSparse",
        "Target",
        "Example",
        "Point",
        "Look",
        "EarlyBird",
        "EdgePopup",
        "Supermask",
        "ModelForm",
        "MaskedParameters",
    ),
}


# what trainers' callbacks hand on, which no cell ends with
HANDED_ON = {"FitStart", "Levels"}

# keywords of functions, of which no value is made
KEYWORDS = {"LookOptions"}


def undecided(kinds):
    """Names of records that are neither shown nor said in a line, or both."""
    said = SAID_IN_TEXT | HANDED_ON | KEYWORDS
    return [k.__name__ for k in kinds if hasattr(k, "_repr_html_") == (k.__name__ in said)]


def is_record(value):
    is_class = inspect.isclass(value) and value.__module__.startswith("lottery_ticket.")
    if not is_class or issubclass(value, BaseException | tuple | torch.nn.Module):
        return False
    return dataclasses.is_dataclass(value) or issubclass(value, BaseModel | Mapping)


def test_every_public_record_is_shown_or_said_in_a_line():
    rooms = ["", ".masks", ".criteria", ".models", ".data", ".export", ".analysis", ".finder"]
    rooms += [".analysis.structure", ".pruning", ".tickets", ".plots", ".experiment", ".spec"]
    public = set()
    for room in rooms:
        module = importlib.import_module(f"lottery_ticket{room}")
        names = lottery_ticket.__all__ if room == "" else vars(module)
        public |= {getattr(module, name) for name in names if is_record(getattr(module, name))}
    inside = {kind for kind in public if kind.__module__.startswith("lottery_ticket.experiment")}
    assert undecided(public - inside) == []
    assert {"Plan", "Forecast"} <= {k.__name__ for k in inside if hasattr(k, "_repr_html_")}


def test_a_record_that_nobody_decided_on_is_caught():
    @dataclasses.dataclass
    class Newcomer:
        tensor: torch.Tensor

    assert undecided({Newcomer, lottery_ticket.Ticket}) == ["Newcomer"]
