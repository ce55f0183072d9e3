"""YAML 1.2, and what a file may not be."""

import pytest
from spec_values import PLAIN

from lottery_ticket.errors import UsageError
from lottery_ticket.spec import load_spec, parse_overrides, preset_names, preset_text

TEXT = """\
name: mine
data: {name: digits}
model: {name: LeNet300}
train: {lr: 1e-3, batch_size: 64, duration: 2ep}
prune: {rate: 0.4, levels: 2}
"""


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "mine.yaml"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("2:4", "2:4"),
        ("1:30:00", "1:30:00"),
        ("no", "no"),
        ("off", "off"),
        ("on", "on"),
        ("y", "y"),
        ("0o17", 15),
        ("017", 17),
        ("0x10", 16),
        ("true", True),
        ("null", None),
        ("", None),
        ("[a, 1]", ["a", 1]),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    (found,) = parse_overrides([f"key={text}"]).values()
    assert (type(found), found) == (type(value), value)


def test_a_file_is_read(write):
    spec = load_spec(write(TEXT))
    assert (spec.name, spec.train.lr) == ("mine", 0.001)
    assert load_spec(str(write("\ufeff" + TEXT))) == spec  # an editor's byte order mark


@pytest.mark.parametrize("name", preset_names())
def test_presets_load_and_begin_with_what_they_are(name):
    assert load_spec(name).name == name.replace("/", "-")
    first = preset_text(name).splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT + "seed: 1\nseed: 2\n", 'found duplicate key "seed" in line 7'),
        (
            TEXT.replace("lr: 1e-3", "lr: 1, lr: 2"),
            'found duplicate key "lr" in line 4; each key may stand once',
        ),
        ("name: [", "not valid YAML: expected the node content, but found '<stream end>'"),
        ("name: a\n\tdata: b\n", "not valid YAML: .* in line 2, column 1"),
        ("name: !!python/object:os.system x", "could not determine a constructor for the tag"),
        (TEXT + "---\n" + TEXT, "not valid YAML: .*another document"),
        ("name: 2024-13-45", "not valid YAML: month must be in 1..12"),
        ("name: !!int many", "not valid YAML: invalid literal"),
        ("name: a\x00b", "not valid YAML: .*unacceptable character"),
        ("[" * 400, "nested more than 32 deep"),
        (b"\xff\xfe\x00\x01", "cannot read the spec"),
        (b"\x89PNG\r\n\x1a\n", "cannot read the spec"),
        ("", "a spec is a mapping of keys, got nothing"),
        ("# only a comment\n", "a spec is a mapping of keys, got nothing"),
        ("- name: a\n", "a spec is a mapping of keys, got list"),
        ("quickstart", "a spec is a mapping of keys, got str"),
        ("7", "a spec is a mapping of keys, got int"),
    ],
)
def test_what_is_no_spec_is_refused_with_its_place(content, message, write):
    path = write(content)
    with pytest.raises(UsageError, match=message) as error:
        load_spec(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert "<file>" not in str(error.value)


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml: cannot read the spec \(No such file"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"cannot read the spec \(Is a directory\)"):
        load_spec(tmp_path)


def test_a_name_that_is_no_preset():
    with pytest.raises(UsageError, match=r"name ends in \.yaml\); did you mean 'quickstart'\?$"):
        load_spec("quickstrat")
    with pytest.raises(
        UsageError, match=r"spec file's name ends in \.yaml\); valid: conv4-cifar10, "
    ):
        load_spec("mine")
    with pytest.raises(UsageError, match="no preset 'lenet-mnst'; did you mean 'lenet-mnist'"):
        preset_text("lenet-mnst")


def test_a_file_of_the_name_of_a_preset_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").write_text(TEXT)
    assert load_spec("quickstart").name == "quickstart"
    assert load_spec("./quickstart").name == "mine"
    assert load_spec(tmp_path / "quickstart").name == "mine"


def test_the_plain_spec_of_these_tests_is_the_one_in_the_file(write):
    assert load_spec(write(TEXT), ["name=plain", "train.lr=0.1"]) == load_spec(
        write(str(PLAIN).replace("'", '"')), []
    )
