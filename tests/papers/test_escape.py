"""Law: whatever a name holds, LaTeX compiles and prints it."""

import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from latex_reader import BadLatexError, check_text

from lottery_ticket.papers import latex_text

HOSTILE = r"50 % of θ_0, R&D #1 {a^b}~c\input{x} $y$ <z> [w]* --- ``q'' ?` |"


def compiles(escape, text):
    check_text(escape(text))


@given(st.text(max_size=60))
def test_any_text_compiles(text):
    compiles(latex_text, text)


def test_every_sign_of_ascii_compiles():
    for code in range(32, 127):
        compiles(latex_text, chr(code))
        compiles(latex_text, f"a{chr(code)}{chr(code)}b")


@pytest.mark.parametrize("sign", list("%&#_{}~^$\\"))
def test_a_sign_that_is_not_escaped_is_caught(sign):
    def mutant(text):
        return "".join(c if c == sign else latex_text(c) for c in text)

    with pytest.raises(BadLatexError):
        compiles(mutant, f"a {sign} b" if sign != "\\" else r"\input{x}")


def test_what_is_not_escaped_at_all_is_caught():
    with pytest.raises(BadLatexError):
        compiles(partial(str), HOSTILE)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("θ", r"$\theta$"),
        ("a_b", r"a\_b"),
        ("50 %", r"50 \%"),
        ("a--b", "a-{}-b"),  # two hyphens, not a dash
        ("''", "'{}'"),
        ("é ü ñ å ç ő š", r"""\'{e} \"{u} \~{n} \r{a} \c{c} \H{o} \v{s}"""),
        ("í", r"\'{\i}"),
        ("ß ø ł", r"\ss{} \o{} \l{}"),
        ("−0.5 ± 1", r"$-$0.5 $\pm$ 1"),
        ("e\u0301", r"\'{e}"),  # decomposed
        ("[x]", "{[}x{]}"),
        ("a\nb\tc", "a b c"),
        ("票🎟", "[U+7968][U+1F39F]"),
    ],
)
def test_how_a_text_is_written(text, wanted):
    assert latex_text(text) == wanted


def test_no_character_is_lost():
    """Letters and digits come out as they went in."""
    plain = re.sub(r"[^A-Za-z0-9]", "", HOSTILE.replace("θ", ""))
    escaped = re.sub(r"\\[A-Za-z]+\{\}", "", latex_text(HOSTILE.replace("θ", "")))
    assert re.sub(r"[^A-Za-z0-9]", "", escaped) == plain
