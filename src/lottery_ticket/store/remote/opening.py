"""From a store's address and the environment to obstore's client of it.

Credentials and endpoints come from where users of each service keep them:

- `s3://`: `AWS_ACCESS_KEY_ID` and its sisters, `AWS_ENDPOINT_URL`, `AWS_REGION`; else the profile
  files, `AWS_PROFILE` (through boto3, where it is installed); else what the machine was given.
- `gs://`: `GOOGLE_APPLICATION_CREDENTIALS`, the files of `gcloud auth application-default login`,
  or what the machine was given.
- `az://container/prefix`: `AZURE_STORAGE_ACCOUNT_NAME` with `AZURE_STORAGE_ACCOUNT_KEY`,
  `AZURE_STORAGE_SAS_TOKEN`, `AZURE_CLIENT_ID` and its sisters, or what the machine was given.

None of them is kept, shown or put into an error.
"""

import importlib.util
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lottery_ticket.errors import StoreError, UsageError
from lottery_ticket.store.remote.failures import Kind
from lottery_ticket.store.remote.patience import Patience

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

__all__ = ["SCHEMES", "Address", "address_of", "opened"]

SCHEMES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
"""How a store's address begins → obstore's name for such stores."""

_ADDRESS = re.compile(r"(\w+)://([A-Za-z0-9][A-Za-z0-9._-]+)(?:/(.*))?")

# where an endpoint is named: options and variables
_ENDPOINTS = {
    "s3": ("endpoint", "aws_endpoint_url_s3"),
    "gs": ("base_url",),
    "az": ("endpoint",),
}
_ENDPOINT_VARIABLES = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}

# with one of these, nobody means a profile's credentials
_INSTEAD_OF_PROFILES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


class Address(NamedTuple):
    """Where a store is."""

    scheme: str
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


def address_of(url: str) -> Address:
    """The parts of `s3://bucket/prefix`.

    Raises:
        UsageError: it is no such address.

    >>> address_of("s3://bucket/some/prefix/")
    Address(scheme='s3', bucket='bucket', prefix='some/prefix')
    """
    wanted = "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    if "@" in url or "?" in url:  # not repeated: a secret may be in it
        raise UsageError(
            f"a store's address is {wanted}, without user names, keys and questions: "
            "credentials come from the environment"
        )
    found = _ADDRESS.fullmatch(url)
    if found is None or found[1] not in SCHEMES:
        raise UsageError(f"{url!r} is no address of an object store: wanted {wanted}")
    prefix = (found[3] or "").strip("/")
    if prefix and not all(re.fullmatch(r"[\w.=+-]+", part) for part in prefix.split("/")):
        raise UsageError(f"{url!r}: a prefix is words of letters, digits and ._=+- between slashes")
    if {".", ".."} & set(prefix.split("/")):
        raise UsageError(f"{url!r}: a prefix goes downwards, without . and ..")
    return Address(found[1], found[2], prefix)


def opened(
    address: Address, patience: Patience, options: dict[str, Any]
) -> "S3Store | GCSStore | AzureStore":
    """obstore's client.

    Raises:
        UsageError: obstore is not installed, or does not know an option.
        StoreError: something that it needs is not set.
    """
    if importlib.util.find_spec("obstore") is None:
        raise UsageError(
            f"{address} needs obstore, not installed here: pip install 'lottery-ticket[remote]'"
        )
    import obstore.store
    from obstore.exceptions import BaseError

    if address.scheme == "s3":
        options = {**_profile(address, options), **options}
    client_options = _client_options(address.scheme, patience, options)
    try:
        return getattr(obstore.store, SCHEMES[address.scheme])(
            address.bucket,
            prefix=address.prefix or None,
            client_options=client_options,
            # an answer that was lost has to be looked into, which only we can
            retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
            **options,
        )
    except (BaseError, ValueError) as error:
        problem = _problem(address, error)
    raise problem  # outside, so that it does not carry the first one's text along


def _problem(address: Address, error: Exception) -> StoreError | UsageError:
    if key := re.search(r"Configuration key: '(\w+)' is not valid", str(error)):
        return UsageError(f"{address}: unknown option {key[1]!r}")
    if missing := re.search(r"Missing (\w+)|(\w+) must be specified", str(error)):
        return StoreError(
            f"{address}: {missing[1] or missing[2]} is not set: {Kind.NO_CREDENTIALS.value}"
        )
    return StoreError(f"{address} cannot be opened: {Kind.OTHER.value}")


def _client_options(scheme: str, patience: Patience, options: dict[str, Any]) -> dict[str, Any]:
    endpoints = _endpoints(scheme, options)
    for name, endpoint in endpoints.items():
        if not re.fullmatch(r"https?://[^\s/@]+(/[^\s@]*)?", endpoint):
            raise UsageError(f"{name} is no address: wanted http(s)://host:port")  # may be a secret
    client: dict[str, Any] = {
        "connect_timeout": "5s",
        "read_timeout": timedelta(seconds=patience.answer_seconds),
        "timeout": "1h",  # of whole transfers, which may be large
    }
    # a secret goes over an open line only where the endpoint says so
    emulated = scheme == "az" and "AZURE_STORAGE_USE_EMULATOR" in os.environ
    if emulated or any(endpoint.startswith("http://") for endpoint in endpoints.values()):
        client["allow_http"] = True
    return client


def _endpoints(scheme: str, options: dict[str, Any]) -> dict[str, str]:
    """What option or variable names an endpoint → the endpoint."""
    given = {name: options[name] for name in _ENDPOINTS[scheme] if name in options}
    environment = {
        name: os.environ[name] for name in _ENDPOINT_VARIABLES[scheme] if name in os.environ
    }
    return environment | given


def _profile(address: Address, options: dict[str, Any]) -> dict[str, Any]:
    """What the profile files of AWS hold, where nothing else names credentials.

    Raises:
        StoreError: a profile is asked for that cannot be read, or holds no credentials.
    """
    named = os.environ.get("AWS_PROFILE")
    if {"access_key_id", "credential_provider", "skip_signature"} & options.keys():
        return {}
    if any(os.environ.get(name) for name in _INSTEAD_OF_PROFILES):
        return {}
    if not named and not any(path.exists() for path in _profile_files()):
        return {}
    if importlib.util.find_spec("boto3") is None:
        if named:
            raise StoreError(f"{address}: to read AWS_PROFILE={named}, pip install boto3")
        return {}
    return _from_boto3(address)


def _from_boto3(address: Address) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        provider = Boto3CredentialProvider()
    except BotoCoreError:
        problem = "AWS_PROFILE names no profile of ~/.aws that can be read"
    except ValueError:
        problem = Kind.NO_CREDENTIALS.value
    else:
        return {"credential_provider": provider}
    raise StoreError(f"{address}: {problem}")


def _profile_files() -> list[Path]:
    home = Path("~/.aws").expanduser()
    return [
        Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials")),
        Path(os.environ.get("AWS_CONFIG_FILE", home / "config")),
    ]
