"""What can go wrong between the gateway and a vendor.

ProviderError
├── BadRequest       400  the caller's mistake; upstream's own words
│   ├── ContextTooLong    the prompt is longer than the model takes
│   └── ContentFiltered   the vendor's safety rules refuse the prompt
├── AuthFailed       502  the deployment's key is refused
├── ModelNotFound    502  the deployment does not have the model
├── RateLimited      429  the deployment is out of quota, or asks to wait
├── Unavailable      502  connection refused or lost, 5xx
│   └── Overloaded   503  upstream says that it is too busy
├── Timeout          504  connect, first byte, idle or total
│   └── OutOfPatience     the caller's own patience, shorter than the endpoint's
├── BadAnswer        502  an answer that cannot be used: not JSON, HTML, a redirect
│   └── Truncated    502  a stream that ended before its end
├── EgressRefused    502  the address may not be called (see egress.py)
└── Cancelled        499  our own caller left; nobody is there to read this

Four facts drive everything else: `status` (for the gateway's caller), `code` (machine readable, stable), `retryable`
(another deployment may be tried, as long as nothing has reached the caller) and `may_pass` (so may the same one, after
a pause).
"""

from typing import ClassVar


class ProviderError(Exception):
    """Base of all; `retry_after` is in seconds, `upstream_*` are what the vendor itself said."""

    status: ClassVar[int] = 502
    code: ClassVar[str] = "upstream_error"
    retryable: ClassVar[bool] = False
    may_pass: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        retry_after: float | None = None,
        param: str | None = None,
        upstream_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.upstream_status = upstream_status
        self.retry_after = retry_after
        self.param = param
        self.upstream_code = upstream_code
        self.headers: dict[str, str] = {}  # what the caller should be told beside it


class BadRequest(ProviderError):
    status = 400
    code = "invalid_request_error"


class ContextTooLong(BadRequest):
    """A model with a longer context may take it."""


class ContentFiltered(BadRequest):
    """A model with other safety rules may take it."""


class AuthFailed(ProviderError):
    """The message must never contain the key: not even the masked form that some vendors echo."""

    code = "upstream_auth_failed"
    retryable = True


class ModelNotFound(ProviderError):
    code = "upstream_model_not_found"
    retryable = True


class RateLimited(ProviderError):
    status = 429
    code = "rate_limit_exceeded"
    retryable = True
    may_pass = True


class Unavailable(ProviderError):
    code = "upstream_unavailable"
    retryable = True
    may_pass = True


class Overloaded(Unavailable):
    status = 503
    code = "upstream_overloaded"


class Timeout(ProviderError):
    """The message names the timer (connect, first byte, idle, total) and its seconds. Not tried again in the same
    place: it would take as long again."""

    status = 504
    code = "upstream_timeout"
    retryable = True


class OutOfPatience(Timeout):
    """The caller asked for an answer sooner than the endpoint promises one: that says nothing about the endpoint."""


class BadAnswer(ProviderError):
    code = "upstream_bad_answer"
    retryable = True
    may_pass = True


class Truncated(BadAnswer):
    pass


class EgressRefused(ProviderError):
    code = "egress_refused"
    retryable = True


class Cancelled(ProviderError):
    """Raised out of a read that `CancelToken.cancel()` interrupted."""

    status = 499
    code = "client_closed"
