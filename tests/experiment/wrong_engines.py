"""Engines that break a law. Each is called in a process of its own, and puts a wrong part there."""

import copy
import os
import time
from dataclasses import replace

import torch

from lottery_ticket import files
from lottery_ticket.experiment.cells import journal as _journal
from lottery_ticket.experiment.cells import training as _training
from lottery_ticket.experiment.cells.kinds import KINDS
from lottery_ticket.experiment.running import execute as _execute
from lottery_ticket.experiment.running import scheduler as _scheduler
from lottery_ticket.experiment.running import stop as _stop
from lottery_ticket.experiment.running import workers as _workers
from lottery_ticket.seeds import generator
from lottery_ticket.store import Claim, Store
from lottery_ticket.train import Batches, _batches

# checkpoints


def forgets_the_optimizer() -> None:
    restore_ = _journal.restore_

    def wrong(state, data):
        fresh = copy.deepcopy(state.optimizer.state_dict())
        restore_(state, data)
        state.optimizer.load_state_dict(fresh)

    _journal.restore_ = wrong


def forgets_the_random_state() -> None:
    restore_ = _journal.restore_

    def wrong(state, data):
        fresh = torch.get_rng_state()
        restore_(state, data)
        torch.set_rng_state(fresh)

    _journal.restore_ = wrong


def goes_back_to_the_first_batch() -> None:
    order = Batches.order
    Batches.order = lambda batches, number, start=0: order(batches, number)


def starts_from_scratch() -> None:
    _journal.restore_ = lambda state, data: None


def keeps_no_checkpoint() -> None:
    _journal.Journal.checkpoint = lambda journal: None


def writes_checkpoints_in_place() -> None:
    _journal.write_file = lambda path, data: files.write_synced(path, data)


# stopping


def hears_no_stop() -> None:
    _stop.StopSign.is_raised = lambda sign: False


# what is finished, and who works on what is not


def takes_nothing_for_finished() -> None:
    _execute.is_current = _scheduler.is_current = lambda record, contents: False


def clears_before_it_commits() -> None:
    commit = Store.commit

    def wrong(store, claim, record, written, execution):
        claim.clear()
        commit(store, claim, record, written, execution)

    Store.commit = wrong


def takes_busy_for_failed() -> None:
    execute = _execute.execute

    def wrong(cells, contents, context):
        return [
            replace(outcome, status="failed") if outcome.status == "busy" else outcome
            for outcome in execute(cells, contents, context)
        ]

    _workers.execute = wrong


def gives_up_with_its_worker() -> None:
    def wrong(scheduler, workers):
        workers.restart()
        ended, scheduler.running = scheduler.running, {}
        for cell in (cell for group in ended.values() for cell in group):
            scheduler._take(cell, _execute.Outcome(cell.name, "failed"))

    _scheduler.Scheduler._recover = wrong


class _Free:
    def release(self) -> None:
        """There is nothing to give back."""


def grants_every_claim() -> None:
    def take(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return Claim(folder, _Free())

    Claim.take = take


def claims_the_whole_store() -> None:
    take = Claim.take

    def wrong(folder):
        folder.mkdir(parents=True, exist_ok=True)
        whole = take(folder.with_name("all"))
        return whole and Claim(folder, whole._lock)

    Claim.take = wrong


class _Existing:
    def __init__(self, path) -> None:
        self._path = path

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


def lets_the_dead_hold_their_claims() -> None:
    """A claim is that a file exists."""

    def take(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(folder / "claimed", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return None
        return Claim(folder, _Existing(folder / "claimed"))

    Claim.take = take


# what a cell's bytes depend on


def orders_by_process() -> None:
    import order_by_process as order_by_process


def orders_by_the_cells_before() -> None:
    """The order of the examples depends on how many cells this process has made."""
    made = []
    train = KINDS["train"]

    def wrong(*arguments):
        made.append(arguments)
        return train.make(*arguments)

    KINDS["train"] = replace(train, make=wrong)
    _batches.generator = lambda seed, *path: generator(seed, *path, len(made))


def seeds_no_noise() -> None:
    _training.seed_ = lambda seed, devices: None


def records_the_time() -> None:
    train = KINDS["train"]

    def wrong(*arguments):
        started = time.time()
        made = train.make(*arguments)
        return replace(made, results={**made.results, "seconds": time.time() - started})

    KINDS["train"] = replace(train, make=wrong)
