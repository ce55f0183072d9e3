"""Buckets of a moto server."""

from collections.abc import Callable
from typing import Any

import pytest
from moto_server import KEYS

from lottery_ticket.store.remote import ObstoreBucket

NewBucket = Callable[..., ObstoreBucket]


@pytest.fixture
def new_bucket(moto: str, s3_url: str) -> NewBucket:
    """Buckets at that address; `endpoint=` may be a proxy's."""

    def made(**options: Any) -> ObstoreBucket:
        return ObstoreBucket(s3_url, **{"endpoint": moto, **KEYS, **options})

    return made
