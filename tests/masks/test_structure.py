import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import Structure


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("unstructured", Structure("unstructured")),
        ("channel", Structure("channel")),
        ("2:4", Structure("n:m", (2, 4))),
        ("1:16", Structure("n:m", (1, 16))),
        ("block:4x4", Structure("block", (4, 4))),
        ("block:1x32", Structure("block", (1, 32))),
    ],
)
def test_parse_and_back(text, wanted):
    assert Structure.parse(text) == wanted
    assert Structure.parse(wanted) is wanted
    assert str(wanted) == text
    assert hash(wanted) == hash(Structure.parse(text))


def test_unstructured_is_the_default():
    assert Structure() == Structure.parse("unstructured")


@pytest.mark.parametrize(
    "text",
    ["", "chanel", "2:4:8", "2/4", "-2:4", "block", "block:4", "block:4X4", "block:4x4x4",
     "block:-1x2", " 2:4", "2:4\n", 2, None],
)  # fmt: skip
def test_no_structure(text):
    with pytest.raises(UsageError) as caught:
        Structure.parse(text)
    assert str(caught.value) == (
        f"structure: got {text!r}, wanted one of 'unstructured', 'channel', 'n:m' like '2:4', "
        "'block:RxC' like 'block:4x4'"
    )


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Structure.parse("4:4"), "structure '4:4' keeps n of every m weights, 0 < n < m"),
        (lambda: Structure.parse("0:4"), "structure '0:4' keeps n of every m weights, 0 < n < m"),
        (lambda: Structure.parse("4:2"), "structure '4:2' keeps n of every m"),
        (lambda: Structure.parse("block:0x4"), "'block:0x4': a block has 1 or more rows and col"),
        (lambda: Structure("blok", (4, 4)), "unknown kind 'blok'; did you mean 'block'?"),
        (lambda: Structure("block"), "structure: 'block' does not take the sizes ()"),
        (lambda: Structure("channel", (4, 4)), "structure: 'channel' does not take the sizes (4,"),
    ],
)
def test_sizes_that_make_no_sense(make, problem):
    with pytest.raises(UsageError) as caught:
        make()
    assert problem in str(caught.value)
