"""Questions on a terminal: an answer that does not fit is asked for again."""

import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

from rich.markup import escape

from lottery_ticket.cli._print import console, print_error
from lottery_ticket.errors import LotteryError, UsageError

__all__ = ["Asking", "is_terminal"]

T = TypeVar("T")


def is_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


class Asking:
    """Asks, or takes what was given already.

    Args:
        given: question → its answer, as it would be typed.
        to_ask: whether to ask for what was not; else defaults are taken.
    """

    def __init__(self, given: Mapping[str, str], *, to_ask: bool) -> None:
        self._given = dict(given)
        self._to_ask = to_ask
        self._number = 0

    def answer(
        self,
        name: str,
        question: str,
        default: str,
        read: Callable[[str], T],
        lines: Callable[[], list[str]] = list,
    ) -> T:
        """One answer.

        Args:
            name: of the question, in `given`.
            question: what is asked.
            default: taken for an empty answer; empty for none.
            read: text → what it means; raises `LotteryError` for what does not fit.
            lines: what can be answered, shown above.

        Raises:
            LotteryError: what was given does not fit.
            UsageError: the input ended.
        """
        self._number += 1
        if name in self._given:
            return read(self._given[name])
        if not self._to_ask:
            return read(default)
        console.print(f"\n[bold]{self._number}. {escape(question)}[/]", soft_wrap=True, markup=True)
        for line in lines():
            console.print(f"   [dim]{escape(line)}[/]", soft_wrap=True, markup=True)
        while True:
            typed = self._typed(default) or default
            try:
                return read(typed)
            except LotteryError as error:
                print_error(str(error))

    def _typed(self, default: str) -> str:
        try:
            return input(f"   [{default}] " if default else "   ").strip()
        except EOFError:
            print()
            raise UsageError(
                "the input ended before all was answered; nothing was written"
            ) from None

    def again(self, *names: str) -> None:
        """Questions whose answers do not fit together are asked anew."""
        self._number -= len(names)
        for name in names:
            self._given.pop(name, None)
