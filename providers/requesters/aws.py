"""What all of AWS's services share: regions, signed requests, errors.

Facts from the service models of boto/botocore (bedrock-runtime, bedrock, sagemaker-runtime) and
docs.aws.amazon.com (bedrock/latest/APIReference/CommonErrors, userguide/api-keys-use).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

import orjson

from providers.requesters import aws_credentials, eventstream, failures, sigv4
from providers.requesters.base import JSON, Endpoint, Requester
from providers.requesters.egress import Transport
from providers.requesters.errors import BadRequest, ProviderError, Unavailable

DEFAULT_REGION = "us-east-1"
REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
MODEL = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w.:/-]*", re.ASCII)

# The HTTP status that an exception stands for, by its name in lower case and without its ending: inside a stream
# there is no other, and the answer's own says less.
STATUSES = {
    "throttling": 429,
    "toomanyrequests": 429,
    "servicequotaexceeded": 429,
    "accessdenied": 403,
    "unrecognizedclient": 403,
    "invalidsignature": 403,
    "signaturedoesnotmatch": 403,
    "invalidclienttokenid": 403,
    "expiredtoken": 403,
    "incompletesignature": 403,
    "missingauthenticationtoken": 403,
    "resourcenotfound": 404,
    "validation": 400,
    "serialization": 400,
    "modeltimeout": 504,
    "modelnotready": 503,
    "serviceunavailable": 503,
    "model": 502,
    "modelstream": 502,
    "internalserver": 500,
    "internal": 500,
    "internalstream": 500,
    "internaldependency": 500,
}
ENDING = re.compile(r"(Error|Failure)?(Exception)?$")
# What AWS says in words alone, each with the code that `failures` knows it by.
WORDS: tuple[tuple[frozenset[int], re.Pattern[str], str], ...] = (
    (
        frozenset({400}),
        re.compile(
            r"model identifier is invalid|on-demand throughput isn.t supported|endpoint \S+ of account \S+ not found",
            re.IGNORECASE,
        ),
        "model_not_found",
    ),
    (
        frozenset({403}),
        re.compile(r"have access to the model|model access is denied", re.IGNORECASE),
        "model_not_found",
    ),
    (frozenset({400}), re.compile(r"blocked by (the )?content filter", re.IGNORECASE), "content_filter"),
)


class AwsRequester(Requester):
    """`base_url` is needed for private endpoints only: the address follows from the region.

    `config`: regions (a list, or names with commas between them); `spread` makes one endpoint of each and writes its
    `region`. The key is one text (see `aws_credentials`).
    """

    service: ClassVar[str]
    # The host's name before the region.
    host: ClassVar[str]

    def __init__(self, endpoint: Endpoint, transport: Transport) -> None:
        super().__init__(endpoint, transport)
        self.region = regions(endpoint.config)[0]
        # The longest first: the whole text holds the others.
        self._secrets = [*self._secrets, *aws_credentials.secrets(endpoint.api_key)]

    def headers(self) -> Mapping[str, str]:
        return {}

    def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Mapping[str, str]:
        credentials = aws_credentials.parse(self.endpoint.api_key)
        if credentials.bearer_token:
            return {**headers, "Authorization": f"Bearer {credentials.bearer_token}"}
        return sigv4.sign(method, url, headers, body or b"", credentials, sigv4.Place(self.region, self.service))

    def map_error(self, status: int, payload: Any, headers: Mapping[str, str]) -> ProviderError:
        told = payload if isinstance(payload, dict) else {}
        name = _exception(told, headers)
        key = ENDING.sub("", name).lower()
        message = str(told.get("message") or told.get("Message") or "")
        meant = STATUSES.get(key, status)
        code = next((code for when, words, code in WORDS if meant in when and words.search(message)), "")
        known = {"message": message, "code": name, "type": code}
        # A code is asked only where the status says little.
        error = failures.to_error(400 if code else meant, known, headers, self._secrets)
        error.upstream_status = status
        return error

    def read_events(self, chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
        """The type and the payload of each event. A message of another type is raised as the error that it tells."""
        for message in eventstream.read_messages(chunks):
            if message.headers.get(":message-type", "event") != "event":
                raise self._told_in_stream(message)
            yield message.headers.get(":event-type", ""), message.payload

    def _told_in_stream(self, message: eventstream.Message) -> ProviderError:
        """An exception has its type in a header and its words in the payload, an error has both in headers."""
        name = message.headers.get(":exception-type") or message.headers.get(":error-code", "")
        try:
            payload = orjson.loads(message.payload)
        except orjson.JSONDecodeError:
            payload = {"message": message.headers.get(":error-message", "")}
        return self.map_error(200, payload, {"x-amzn-errortype": name})

    @classmethod
    def spread(cls, endpoint: Endpoint) -> list[Endpoint]:
        """Each with its region's address, by which a sticky session tells them apart. A private one is in one region
        only."""
        if endpoint.base_url:
            return [endpoint]
        return [
            replace(endpoint, base_url=address(cls.host, region), config={**endpoint.config, "region": region})
            for region in regions(endpoint.config)
        ]

    def origin(self, host: str = "") -> str:
        given = self.endpoint.base_url.rstrip("/")
        if given not in ("", address(self.host, self.region)):
            return given
        found = address(host or self.host, self.region)
        if not found:
            raise Unavailable(f"the provider's region {self.region[:50]!r} has not the form of one")
        return found


def address(host: str, region: str) -> str:
    """Empty for what is no region's name: it would say another host's."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{host}.{region}.{domain}" if REGION.fullmatch(region) else ""


def regions(config: Mapping[str, Any]) -> list[str]:
    """At least one. A single `region` is what `spread` wrote, or an operator who has but one."""
    given = config.get("region") or config.get("regions") or ()
    names = given.split(",") if isinstance(given, str) else given
    return [name.strip() for name in names if isinstance(name, str) and name.strip()] or [DEFAULT_REGION]


def segment(name: Any) -> str:
    """A model's or an endpoint's name as one segment of a path: ARNs have slashes and colons."""
    if not isinstance(name, str) or not MODEL.fullmatch(name):
        raise BadRequest("the model's name at its provider is not valid", param="model")
    return quote(name, safe="")


def _exception(payload: JSON, headers: Mapping[str, str]) -> str:
    """`ThrottlingException:http://internal…` in the header, or `com.amazon.coral#ThrottlingException` in the body."""
    name = str(headers.get("x-amzn-errortype") or payload.get("__type") or "")
    return name.partition(":")[0].rpartition("#")[2]
