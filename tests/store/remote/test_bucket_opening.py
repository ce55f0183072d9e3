"""Where buckets find endpoints and credentials, and that they keep them to themselves."""

import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_proxy import FaultyProxy
from moto_server import KEYS

from lottery_ticket.errors import LotteryError, StoreError, UsageError
from lottery_ticket.store.remote import ObstoreBucket, Patience
from lottery_ticket.store.remote.opening import address_of

SECRET = "wJalrXUtnFEMI"
NewBucket = Callable[..., ObstoreBucket]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own settings; a home without profiles."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket", "s3://bucket"),
        ("gs://bucket.with.dots/a=b", "gs://bucket.with.dots/a=b"),
        ("az://container/x", "az://container/x"),
    ],
)
def test_addresses(url: str, said: str) -> None:
    assert str(address_of(url)) == said


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3:",
        "s3://",
        "s3:///a",
        "http://bucket/a",
        "file:///a",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://bucket/a b",
        "s3://bucket/a#b",
        "s3://bucket/ä\n",
        f"s3://key:{SECRET}@bucket/a",
        f"az://container/a?sig={SECRET}",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="prefix") as raised:
        address_of(url)
    assert SECRET not in str(raised.value)


def test_the_environment(moto: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    with FaultyProxy(moto) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        ObstoreBucket(s3_url).put("a", b"1")
        assert "AKIDENVIRONMENT" in proxy.last_headers["authorization"]
        assert "/eu-north-1/s3/" in proxy.last_headers["authorization"]


def test_a_profile(moto: str, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("boto3")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = {SECRET}\n"
        f"[mine]\naws_access_key_id = AKIDMINE\naws_secret_access_key = {SECRET}\n"
    )
    with FaultyProxy(moto) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        ObstoreBucket(s3_url).put("a", b"1")
        assert "AKIDDEFAULT" in proxy.last_headers["authorization"]
        monkeypatch.setenv("AWS_PROFILE", "mine")
        ObstoreBucket(s3_url).put("a", b"1")
        assert "AKIDMINE" in proxy.last_headers["authorization"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        ObstoreBucket(s3_url).put("a", b"1")
        assert "AKIDENVIRONMENT" in proxy.last_headers["authorization"]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "theirs")
    with pytest.raises(StoreError, match="AWS_PROFILE"):
        ObstoreBucket(s3_url)


def test_no_credentials(moto: str, s3_url: str) -> None:
    nowhere = "http://127.0.0.1:9"  # and no cloud either
    bucket = ObstoreBucket(s3_url, endpoint=moto, metadata_endpoint=nowhere)
    with pytest.raises(StoreError, match="no credentials were found: set AWS_ACCESS_KEY_ID"):
        bucket.get("a")
    assert bucket.requests.total() == 1
    with pytest.raises(StoreError, match="SecretAccessKey is not set"):
        ObstoreBucket(s3_url, endpoint=moto, access_key_id="AKID")
    with pytest.raises(StoreError, match=r"Account is not set.*AZURE_STORAGE_ACCOUNT_NAME"):
        ObstoreBucket("az://container/a")


def test_a_bucket_that_is_not_there(moto: str) -> None:
    bucket = ObstoreBucket("s3://no-such-bucket/a", endpoint=moto, **KEYS)
    for request in (
        lambda: bucket.get("a"),
        lambda: bucket.put("a", b""),
        lambda: bucket.create("a", b""),
        lambda: bucket.swap("a", b"", "0"),
        lambda: list(bucket.list("")),
        lambda: bucket.remove(["a"]),
    ):
        with pytest.raises(StoreError, match=r"s3://no-such-bucket/a.*there is no such bucket"):
            request()
    assert set(bucket.requests.values()) == {1}


@pytest.mark.parametrize("endpoint", ["nonsense", "", "ftp://host", f"http://k:{SECRET}@host"])
def test_what_is_no_endpoint(endpoint: str, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^endpoint is no address"):
        ObstoreBucket(s3_url, endpoint=endpoint, **KEYS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(UsageError, match=r"^AWS_ENDPOINT_URL is no address") as raised:
        ObstoreBucket(s3_url, **KEYS)
    assert SECRET not in str(raised.value)


def test_an_unknown_option(s3_url: str) -> None:
    with pytest.raises(UsageError, match="unknown option 'secret_acess_key'"):
        ObstoreBucket(s3_url, secret_acess_key=SECRET)


def test_secrets_are_shown_nowhere(moto: str, s3_url: str, new_bucket: NewBucket) -> None:
    mine = {"access_key_id": "AKIDSECRETTOO", "secret_access_key": SECRET}
    bucket = new_bucket(**mine)
    texts = [repr(bucket), str(bucket), f"{bucket!r}", bucket.location]
    no_patience = Patience(total_seconds=0)
    with FaultyProxy(moto, forbid=lambda method, path: True) as proxy:
        forbidden = new_bucket(endpoint=proxy.url, **mine)
        absent = ObstoreBucket("s3://no-such-bucket/a", endpoint=moto, **mine)
        gone = new_bucket(endpoint="http://127.0.0.1:9", patience=no_patience, **mine)
        for asked in (
            lambda: forbidden.get("a"),
            lambda: forbidden.create("a", b"1"),
            lambda: absent.put("a", b"1"),
            lambda: gone.put("a", b"1"),
            lambda: new_bucket(bad_option=SECRET, **mine),
            lambda: ObstoreBucket("az://container/a", account_name="a", account_key=f"{SECRET}!"),
            lambda: ObstoreBucket("gs://bucket/a", service_account_key=f'{{"a": "{SECRET}"}}'),
        ):
            with pytest.raises(LotteryError) as raised:
                asked()
            error = raised.value
            assert error.__context__ is None
            texts += [str(error), repr(error), *traceback.format_exception(error)]
    assert SECRET not in "".join(texts)
    assert "AKIDSECRETTOO" not in "".join(texts)
    with pytest.raises(TypeError):
        pickle.dumps(bucket)
