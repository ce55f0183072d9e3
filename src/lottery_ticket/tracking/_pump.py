"""One tracker, called from a thread of its own: whatever it does, the run goes on."""

import queue
import threading
import time
from collections.abc import Callable

from lottery_ticket.tracking._story import Call
from lottery_ticket.tracking._tracked import TrackedRun
from lottery_ticket.tracking._tracker import Named

__all__ = ["Pump"]

_PATIENCE_SECONDS = 30.0  # how long a call may take
_MOST_FAILURES = 5  # in a row, until a tracker is given up
_POLL_SECONDS = 0.05


class Pump:
    """Hands calls to a tracker, one after the other.

    Args:
        named: the tracker. Its `patience_seconds`, if it has that, is how long a call may take.
        note: is told in a line what goes wrong.
        again: the command that sends later what is missing; nothing if there is none.
        is_new: whether nothing of the run was anywhere when it began, as far as is known here.
    """

    def __init__(
        self, named: Named, note: Callable[[str], None], again: str = "", *, is_new: bool = False
    ) -> None:
        self.name = named.name
        self._tracker, self._note, self._is_new = named.tracker, note, is_new
        self._again = f"; `{again}` sends what is missing" if again else ""
        self._patience = float(getattr(named.tracker, "patience_seconds", _PATIENCE_SECONDS))
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._seen: dict[str, set[tuple[str, int]]] = {}  # id → what it had when it was started
        self._refused: set[str] = set()  # ids of runs that could not be started
        self._busy_since: float | None = None
        self._num_failed = self._num_in_a_row = 0
        self._has_said = self._is_given_up = False
        self._thread = threading.Thread(
            target=self._run, name=f"lottery-track-{self.name}", daemon=True
        )
        self._thread.start()

    def put(self, call: Call) -> None:
        """Have a call made, some time."""
        self.look()
        if not self._is_given_up:
            self._calls.put(call)

    @property
    def has_failed(self) -> bool:
        """Whether something is missing there."""
        return self._is_given_up or self._num_failed > 0

    def takes(self, run_id: str) -> bool:
        """Whether calls for a run are made, as far as is known by now."""
        return not self._is_given_up and run_id not in self._refused

    def look(self) -> None:
        """Give the tracker up if it hangs."""
        since = self._busy_since
        if since is not None and time.monotonic() - since > self._patience:
            self._give_up(f"it has not answered for {self._patience:g} s")

    def close(self, seconds: float | None = None) -> None:
        """Wait until all calls are made, the tracker is given up, or so much time has passed.

        Args:
            seconds: None: as long as it answers.
        """
        self._calls.put(None)
        until = None if seconds is None else time.monotonic() + seconds
        while self._thread.is_alive() and not self._is_given_up:
            self._thread.join(_POLL_SECONDS)
            self.look()
            if until is not None and time.monotonic() > until:
                self._give_up(f"it is not done {seconds:g} s after the end of the run")
        if self._num_failed and not self._is_given_up:
            self._say(f"{self._num_failed} calls failed{self._again}")

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            if self._is_given_up:
                return
            self._busy_since = time.monotonic()
            try:
                if self._make(call):
                    self._num_in_a_row = 0
            except BaseException as error:  # this thread is the tracker's alone
                self._failed(call, error)
            finally:
                self._busy_since = None

    def _make(self, call: Call) -> bool:
        """Make a call; whether the tracker was called at all."""
        run, arguments = call.run, dict(call.arguments)
        if call.method == "start":
            self._start(run)
            return True
        if run.id in self._refused:
            self._num_failed += 1
            return False
        if call.method == "log":
            seen, step = self._seen[run.id], arguments["step"]
            values = arguments["values"].items()
            arguments["values"] = {n: value for n, value in values if (n, step) not in seen}
            if not arguments["values"]:
                return False
        # by position: what a user's own calls them is theirs
        getattr(self._tracker, call.method)(run, *arguments.values())
        return True

    def _start(self, run: TrackedRun) -> None:
        try:
            seen = self._seen[run.id] = set(self._tracker.start(run) or ())
        except BaseException:
            self._refused.add(run.id)  # only now: until then `takes` is asked from other threads
            raise
        self._refused.discard(run.id)  # where it could not be started before
        if seen and self._is_new:
            self._is_new = False  # said once
            self._say(
                f"goes on with a run begun elsewhere, {run.id}: what is there already is not sent "
                "again, also where the values of here are others"
            )

    def _failed(self, call: Call, error: BaseException) -> None:
        if self._is_given_up:
            return
        self._num_failed += 1
        self._num_in_a_row += 1
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if self._num_in_a_row >= _MOST_FAILURES:
            self._give_up(f"{self._num_in_a_row} calls in a row failed ({reason})")
        elif not self._has_said:
            self._has_said = True
            self._say(f"{call.method}() failed ({reason}); the run goes on")

    def _give_up(self, why: str) -> None:
        if not self._is_given_up:
            self._is_given_up = True
            self._say(f"given up, {why}; the run goes on{self._again}")

    def _say(self, what: str) -> None:
        self._note(f"track {self.name}: {what}")
