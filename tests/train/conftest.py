"""Real digits, small enough to train on in a blink."""

import pytest
import torch

from lottery_ticket.data import DataSet, Split, load_dataset


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def few_digits(digits: DataSet) -> Split:
    """300 of them: ten batches of 32, the last one smaller."""
    return Split(digits.train.x[:300], digits.train.y[:300])


@pytest.fixture(scope="session")
def few_images(few_digits: Split) -> Split:
    """The same as 8×8 images, for augmentation."""
    return Split(few_digits.x.view(-1, 1, 8, 8), few_digits.y)


@pytest.fixture(autouse=True)
def random_state_and_threads_are_put_back():
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the nets are small: more threads only wait for one another
    with torch.random.fork_rng(devices=[]):
        yield
    torch.set_num_threads(num_threads)
