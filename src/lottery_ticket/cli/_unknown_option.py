"""An option that there is not, where it is a key of a spec: `--set` changes these."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

__all__ = ["TakesSet"]


class TakesSet(TyperCommand):
    """A command with `--set`: asked for a key of the spec as an option, it says what to write."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        given = list(args)  # which reading takes away
        try:
            return super().parse_args(ctx, args)
        except (
            Exception
        ) as error:  # typer brings a click of its own, whose errors have no name here
            option = getattr(error, "option_name", None)
            if type(error).__name__ == "NoSuchOption" and isinstance(option, str):
                _say_what_to_write(error, option, given)
            raise


def _say_what_to_write(error: Any, option: str, given: Sequence[str]) -> None:
    """Put it in the place of options that are spelt alike."""
    from lottery_ticket.spec import set_instead

    said = set_instead(option.lstrip("-"), _value(option, given))
    if said:
        error.message = f"No such option: {option}; {said}"
        error.possibilities = None


def _value(option: str, given: Sequence[str]) -> str | None:
    """What was given to an option, in either way of writing it."""
    for i, word in enumerate(given):
        name, equals, value = word.partition("=")
        if name == option and equals:
            return value
        if name == option and i + 1 < len(given) and not given[i + 1].startswith("--"):
            return given[i + 1]
    return None
