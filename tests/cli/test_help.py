"""Every command and every option says what it is."""

import pytest
import typer.main

from lottery_ticket.cli import app

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
NAMES = [
    "init",
    "run",
    "plan",
    "submit",
    "work",
    "status",
    "watch",
    "stop",
    "presets",
    "models",
    "list",
    "runs",
    "edit",
    "table",
    "verdict",
    "classes",
    "compare",
    "plot",
    "report",
    "cite",
    "track",
    "export",
    "bench-export",
    "transfer",
    "retrain",
    "sweep",
    "stability",
    "connectivity",
    "evaluate",
    "probe",
    "pull",
    "push",
    "merge",
    "verify",
    "rm",
    "gc",
    "doctor",
]


def test_the_commands():
    assert list(COMMANDS) == NAMES


def says_what_it_is(commands) -> None:
    """The law: nothing on the command line is without help."""
    for name, command in commands.items():
        assert command.help, name
        assert len(command.help.splitlines()[0]) > 20, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"


def test_every_command_and_option_has_help():
    says_what_it_is(COMMANDS)


def test_an_option_without_help_breaks_the_law():
    other = typer.Typer()

    @other.command("bare")
    def bare(option: int = 1) -> None:
        """A command of which one option says nothing."""

    @other.command("fine")
    def fine() -> None:
        """A command without any options at all."""

    with pytest.raises(AssertionError, match="bare option"):
        says_what_it_is(typer.main.get_command(other).commands)


@pytest.mark.parametrize("name", NAMES)
def test_help_is_printed(name, lottery):
    for flag in ("--help", "-h"):
        said = lottery(name, flag)
        assert said.code == 0
        assert f"Usage: lottery {name}" in said.out


def test_no_command_prints_help(lottery):
    said = lottery()
    assert all(name in said.out + said.err for name in NAMES)


def test_shells_complete_what_can_be_chosen():
    from lottery_ticket.choices import DEVICES, KEEP, KERNELS

    for name, choices in (("device", DEVICES), ("kernels", KERNELS), ("keep", KEEP)):
        option = next(p for p in COMMANDS["run"].params if p.name == name)
        found = option.shell_complete(None, "")
        assert [item.value for item in found] == list(choices)


def test_whatever_shows_a_run_can_import_its_code():
    """But a list of runs, which shows nothing that is code."""
    option = next(p for p in COMMANDS["run"].params if p.name == "imports")
    for name in (
        *("plan", "models", "table", "verdict", "classes", "compare", "plot", "report"),
        "cite",
        *("export", "bench-export", "transfer", "retrain", "evaluate", "probe"),
    ):
        same = next(p for p in COMMANDS[name].params if p.name == "imports")
        assert (same.opts, same.help) == (option.opts, option.help)


def test_the_options_of_execution_are_the_same_everywhere():
    common = [
        "store",
        "data_dir",
        "device",
        "jobs",
        "threads",
        "kernels",
        "group",
        "keep",
        "imports",
    ]
    for name in ("run", "transfer", "retrain", "plan", "evaluate", "probe"):
        there = [p.name for p in COMMANDS[name].params if p.name in common]
        few = name in ("plan", "evaluate", "probe")
        assert there == [n for n in common if not (few and n in ("kernels", "group", "keep"))]
