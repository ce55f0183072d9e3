"""A bucket of S3, Google Cloud or Azure, over obstore."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from lottery_ticket.errors import StoreError
from lottery_ticket.store.remote.bucket import Found, Listed
from lottery_ticket.store.remote.failures import Failure, Kind, failure_of
from lottery_ticket.store.remote.opening import address_of, opened
from lottery_ticket.store.remote.patience import Patience

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, PutResult, UpdateVersion

__all__ = ["ObstoreBucket"]

_T = TypeVar("_T")

_PAGE = 1000  # keys: what servers list, and remove, with one request
_AT_ONCE = 16  # objects read by `get_many`
_PART_BYTES = 8 << 20  # larger objects are sent in parts, each of which has to arrive in time

_PASSING = {Kind.PASSING, Kind.CONFLICT}
# at the start a mistake in the settings; later a network's or a cloud's bad moment
_PASSING_LATER = {Kind.NO_CREDENTIALS, Kind.NO_HOST, Kind.NOT_TRUSTED}

_GIVEN_UP = "given up after {:g} seconds; start again when it answers: what is finished is kept"

_WRITES = {"put", "create", "swap", "remove"}


class ObstoreBucket:
    """A `Bucket` over obstore, which the extra `remote` installs.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`; credentials and
            endpoints come from the environment (see `opening.py`).
        patience: how long a server that is busy or away is waited for.
        **options: obstore's settings of such a store, before those of the environment.

    Raises:
        UsageError: the address is none, obstore is not installed or does not know an option.
        StoreError: something that it needs is not set. Nothing is asked of the server yet.
    """

    def __init__(self, url: str, *, patience: Patience | None = None, **options: Any) -> None:
        address = address_of(url)
        self.location = str(address)
        self.requests: Counter[str] = Counter()
        self.bytes_in = self.bytes_out = 0
        self._patience = patience or Patience()
        self._store = opened(address, self._patience, options)
        import obstore  # it is here, as `opened` has found

        self._obstore = obstore
        self._swaps_by_version = address.scheme == "gs"
        self._has_answered = False
        self._lock = threading.RLock()  # a signal may come while it is held, and ask something

    def __repr__(self) -> str:
        return f"ObstoreBucket({self.location!r})"

    def get(self, key: str) -> Found | None:
        """What is there; None: nothing is."""

        def read() -> Found:
            answer = self._obstore.get(self._store, key)
            return Found(answer.bytes().to_bytes(), _tag(answer.meta))

        found = self._asked("get", read)
        if found is not None:
            with self._lock:
                self.bytes_in += len(found.data)
        return found

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, Found | None]]:
        """Each key with what is there, in the order of the keys."""
        left = iter(keys)
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="bucket")
        running: deque[tuple[str, Future[Found | None]]] = deque()
        try:
            while True:
                for key in islice(left, _AT_ONCE - len(running)):
                    running.append((key, pool.submit(self.get, key)))
                if not running:
                    return
                key, reading = running.popleft()
                yield key, reading.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def put(self, key: str, data: bytes) -> str:
        """Write it, whatever is there → its tag."""
        tag = self._asked("put", lambda: self._written(key, data, "overwrite"))
        assert tag is not None, "only a bucket can be missing"
        return tag

    def create(self, key: str, data: bytes) -> str | None:
        """Write it where nothing is → its tag; None: something of somebody else is there."""
        return self._written_if(
            "create", key, data, None, lambda: self._written(key, data, "create")
        )

    def swap(self, key: str, data: bytes, tag: str) -> str | None:
        """Write it where what `tag` stands for is → its tag; None: that has changed, or is gone."""
        return self._written_if(
            "swap", key, data, tag, lambda: self._written(key, data, self._version(key, tag))
        )

    def head(self, key: str) -> Listed | None:
        """What is there, without its data; None: nothing is."""
        return self._asked("head", lambda: _listed(key, self._obstore.head(self._store, key)))

    def list(self, prefix: str) -> Iterator[Listed]:
        """Everything under a folder of keys, sorted by key; `""` is all."""
        last: str | None = None
        pages: Iterator[Iterable[ObjectMeta]] | None = None

        def next_page() -> list[Listed]:
            nonlocal pages
            if pages is None:  # at the start, and where the last try has broken it off
                pages = iter(
                    self._obstore.list(self._store, prefix or None, offset=last, chunk_size=_PAGE)
                )
            asked, pages = pages, None
            page = [_listed(meta["path"], meta) for meta in next(asked, ())]
            pages = asked
            return page

        while page := self._asked("list", next_page):
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].key

    def remove(self, keys: Iterable[str]) -> None:
        """Remove what is there; what is not is fine."""
        left = iter(keys)
        while some := list(islice(left, _PAGE)):
            self._asked("remove", lambda some=some: self._removed(some))

    def _removed(self, keys: Sequence[str]) -> None:
        try:
            self._obstore.delete(self._store, keys)
        except FileNotFoundError as error:
            if failure_of(error).kind is not Kind.MISSING:
                raise
            for key in keys if len(keys) > 1 else ():  # not every service is content with that
                self._removed([key])

    def _written(self, key: str, data: bytes, mode: "PutMode") -> str:
        with self._lock:
            self.bytes_out += len(data)
        result = self._obstore.put(
            self._store, key, data, mode=mode, chunk_size=_PART_BYTES, max_concurrency=4
        )
        return _tag(result)

    def _version(self, key: str, tag: str) -> "UpdateVersion":
        """A tag as obstore takes it; Google's conditions name a generation, which is looked up."""
        if not self._swaps_by_version:
            return {"e_tag": tag}
        meta = self._obstore.head(self._store, key)
        if meta["e_tag"] != tag:
            raise self._obstore.exceptions.PreconditionError("another tag")
        return {"e_tag": tag, "version": meta["version"]}

    def _written_if(
        self, kind: str, key: str, data: bytes, before: str | None, write: Callable[[], str]
    ) -> str | None:
        """The tag of what `write` wrote where `before` was; None: something else is there.

        The first refusal of a first try is an answer. Any other may be the echo of a try of our own
        whose answer was lost, or say that two came at once: then what is there decides.
        """
        pauses, is_first = self._patience.pauses(), True
        while isinstance(answer := self._once(kind, write), Failure):
            is_refused = answer.kind in {Kind.REFUSED, Kind.MISSING}
            if is_refused and is_first:
                return None
            if is_refused or answer.kind is Kind.CONFLICT:
                found = self.get(key)
                if found is not None and found.data == data:
                    return found.tag
                if (found and found.tag) != before:
                    return None
            self._pause(kind, Failure(Kind.CONFLICT, answer.what) if is_refused else answer, pauses)
            is_first = False
        return answer

    def _asked(self, kind: str, request: Callable[[], _T]) -> _T | None:
        """What a request brings, tried as long as that is of use; None: there is no such object."""
        pauses = self._patience.pauses()
        while isinstance(answer := self._once(kind, request), Failure):
            if answer.kind is Kind.MISSING:
                return None
            self._pause(kind, answer, pauses)
        return answer

    def _once(self, kind: str, request: Callable[[], _T]) -> _T | Failure:
        with self._lock:
            self.requests[kind] += 1
        try:
            answer = request()
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            failure = failure_of(error)
        else:
            self._has_answered = True
            return answer
        if failure.kind is Kind.MISSING and kind in {"put", "create", "list"}:
            return Failure(Kind.NO_BUCKET, failure.what)
        return failure

    def _pause(self, kind: str, failure: Failure, pauses: Iterator[float]) -> None:
        """Before the next try.

        Raises:
            StoreError: there is none: it would be of no use, or the time is over.
        """
        is_passing = failure.kind in (_PASSING | _PASSING_LATER if self._has_answered else _PASSING)
        pause = next(pauses, None) if is_passing else None
        if pause is not None:
            time.sleep(pause)
            return
        does = "be written" if kind in _WRITES else "be read"
        advice = failure.kind.value
        if is_passing:
            advice = _GIVEN_UP.format(self._patience.total_seconds)
        raise StoreError(f"{self.location} cannot {does} ({failure.what}): {advice}")


def _tag(meta: "ObjectMeta | PutResult") -> str:
    tag = meta["e_tag"]
    if not tag:
        raise StoreError("the server gives no ETags, which conditional writes need")
    return tag


def _listed(key: str, meta: "ObjectMeta") -> Listed:
    return Listed(key, _tag(meta), meta["size"], meta["last_modified"].timestamp())
