"""What went wrong with a request, from what obstore raised.

obstore has an exception for a few statuses and puts the rest into its text, which may hold
addresses with signatures in them and the server's whole answer. So nothing of it is shown but the
status and the server's code, a single word.
"""

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["Failure", "Kind", "failure_of"]


class Kind(Enum):
    """What a failure means; its value says what to do about it."""

    REFUSED = "somebody else was first"
    CONFLICT = "two writers came at once: try again"
    PASSING = "try again later"
    MISSING = "there is no such object or bucket: check the bucket's name and the endpoint"
    NO_BUCKET = "there is no such bucket: check its name and the endpoint, or create it"
    NO_CREDENTIALS = (
        "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE (gs://: GOOGLE_APPLICATION_CREDENTIALS; az://: AZURE_STORAGE_ACCOUNT_NAME and "
        "AZURE_STORAGE_ACCOUNT_KEY)"
    )
    NO_HOST = "its address is not known here: check the endpoint and the network"
    NOT_TRUSTED = "its certificate is not trusted here: check the endpoint"
    FORBIDDEN = (
        "check that the credentials are this store's and have not expired, and what they may do"
    )
    WRONG_REGION = "the bucket is in another region: set AWS_REGION to its region"
    NOT_SUPPORTED = (
        "it does not know this kind of request; conditional writes (If-Match, If-None-Match) are "
        "needed: use a server that has them"
    )
    OTHER = "check the store's address, the endpoint and the settings in the environment"


@dataclass(frozen=True)
class Failure:
    """A try that failed."""

    kind: Kind
    what: str
    """For messages: the status and the server's code, or that no answer came."""


_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")

_BY_CODE = {
    "NoSuchBucket": Kind.NO_BUCKET,
    "ContainerNotFound": Kind.NO_BUCKET,
    "ExpiredToken": Kind.FORBIDDEN,
    "InvalidToken": Kind.FORBIDDEN,
    "PermanentRedirect": Kind.WRONG_REGION,
    "AuthorizationHeaderMalformed": Kind.WRONG_REGION,
    "RequestTimeout": Kind.PASSING,
}

_BY_STATUS = {
    401: Kind.FORBIDDEN,
    403: Kind.FORBIDDEN,
    404: Kind.MISSING,
    408: Kind.PASSING,
    409: Kind.CONFLICT,
    412: Kind.REFUSED,
    429: Kind.PASSING,
    501: Kind.NOT_SUPPORTED,
}

# credentials are asked for elsewhere: last of all where machines in a cloud are given some
_FOR_CREDENTIALS = (
    "169.254.169.254",
    "169.254.170.",
    "fd00:ec2::",
    "metadata.google.internal",
    "/latest/api/token",
    "/latest/meta-data/",
    "performing token request",
)

# in texts without a status
_BY_WORDS = {
    "incorrectly configured region": Failure(Kind.WRONG_REGION, "redirected"),
    "credential provider": Failure(Kind.NO_CREDENTIALS, "credentials"),
    "builder error": Failure(Kind.OTHER, "no request could be made"),
    "dns error": Failure(Kind.NO_HOST, "no such host"),
    "certificate": Failure(Kind.NOT_TRUSTED, "certificate"),
    "kind: Timeout": Failure(Kind.PASSING, "no answer in time"),
}

# where no status is in the text
_BY_TYPE = {
    "FileNotFoundError": Failure(Kind.MISSING, "nothing there"),
    "AlreadyExistsError": Failure(Kind.REFUSED, "refused"),
    "PreconditionError": Failure(Kind.REFUSED, "refused"),
    "PermissionDeniedError": Failure(Kind.FORBIDDEN, "denied"),
    "UnauthenticatedError": Failure(Kind.FORBIDDEN, "denied"),
    "GenericError": Failure(Kind.PASSING, "no connection"),
}


def failure_of(error: Exception) -> Failure:
    """What an exception means that obstore has raised for a request."""
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    code = found[1] if (found := _CODE.search(text)) else ""
    if any(words in text for words in _FOR_CREDENTIALS):
        return Failure(Kind.NO_CREDENTIALS, "credentials")
    if status is None:
        said = next((failure for words, failure in _BY_WORDS.items() if words in text), None)
        name = type(error).__name__
        return said or _BY_TYPE.get(name, Failure(Kind.OTHER, name))
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if kind is None:
        kind = Kind.PASSING if status >= 500 else Kind.OTHER
    if kind is Kind.MISSING and type(error).__name__ == "PreconditionError":
        kind = Kind.REFUSED  # the object to swap is gone
    return Failure(kind, f"{status} {code}".strip())
