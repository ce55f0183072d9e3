"""A moto server, started when it is first wanted, and buckets of it."""

import importlib.util
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto_server import KEYS, make_bucket, moto_server

from lottery_ticket.store.remote import ObstoreBucket

NewBucket = Callable[..., ObstoreBucket]


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """`http://127.0.0.1:port` of this process's server."""
    if not all(importlib.util.find_spec(name) for name in ("obstore", "moto", "flask")):
        pytest.skip("needs obstore and moto[server]")
    with moto_server() as url:
        yield url


@pytest.fixture
def s3_url(moto: str) -> str:
    """A store's address in a bucket that nobody else uses."""
    name = f"bucket-{uuid.uuid4().hex}"
    make_bucket(moto, name)
    return f"s3://{name}/some/prefix"


@pytest.fixture
def new_bucket(moto: str, s3_url: str) -> NewBucket:
    """Buckets at that address; `endpoint=` may be a proxy's."""

    def made(**options: Any) -> ObstoreBucket:
        return ObstoreBucket(s3_url, **{"endpoint": moto, **KEYS, **options})

    return made
