import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import small_content, small_stability

from lottery_ticket.report import RunFacts, markdown_page
from lottery_ticket.report._markdown import escaped

PAGE = markdown_page([small_content()])


def test_verdict_table_and_command():
    lines = PAGE.splitlines()
    assert lines[0] == "## A winning ticket at 12.50 % of the weights"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 4
    assert len({line.count("|") for line in table}) == 1
    assert table[0].startswith("| level | density | kept | verdict | ticket (%) |")
    assert "```sh\nlottery run tiny.yaml\n```" in PAGE
    assert PAGE.endswith("</details>\n")


def test_stability_is_a_line_and_a_table():
    found = small_stability()
    page = markdown_page([small_content(stability=found)])
    assert f"- {escaped(found.summary)}" in page.splitlines()
    table = page.split("<summary>Stability</summary>")[1].split("</details>")[0]
    assert table.count("\n|") == 2 + len(found.table)
    assert "stable" not in PAGE


def test_runs_follow_one_another():
    page = markdown_page([small_content("one"), small_content("two")])
    assert page.index("`one`") < page.index("`two`")


@given(st.text())
def test_escaped_text_is_one_line_without_markup(text):
    shown = escaped(text)
    assert "\n" not in shown
    assert "<" not in shown
    assert not any(f" {sign}" in f" {shown}" for sign in ("#", "* ", "|"))


@pytest.mark.parametrize("text", ["<script>x</script>", "a\n# b", "a | b", "[x](http://y)", "@all"])
def test_hostile_names_stay_in_their_place(text):
    facts = RunFacts({"model": text}, "", f"lottery run x\n```\n{text}")
    page = markdown_page([small_content(text, facts=facts)])
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert page.count("\n## ") + page.startswith("## ") == 1
    assert f"- model: {escaped(text)}" in page
    assert "````sh\nlottery run x\n```" in page  # a longer fence holds what has a fence in it
