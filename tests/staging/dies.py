"""A process that runs a staged experiment and is killed after so many trainings."""

import os
import signal
import sys

from staged_specs import spec

from lottery_ticket import run

if __name__ == "__main__":
    left = int(sys.argv[2])

    def count(record: object) -> None:
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), getattr(signal, sys.argv[3]))

    run(spec(), store=sys.argv[1], jobs=1, progress=False, on_level=count)
