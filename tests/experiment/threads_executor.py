"""An executor of threads, for what cannot leave its process."""

from concurrent.futures import ThreadPoolExecutor

from lottery_ticket.experiment import Context, execute


class Threads:
    """Executes cells in threads of this process, as many as it is told."""

    is_isolated = False

    def __init__(self, context: Context, slots: int = 2) -> None:
        self.slots, self._context = slots, context
        self._threads = ThreadPoolExecutor(slots)

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=True)

    def submit(self, cells, contents):
        return self._threads.submit(execute, cells, contents, self._context)
