"""The embedded models' rows and their process."""

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from gateway.up.guards import free_port
from gateway.up.probe import answers
from gateway.up.processes import Program
from providers import local
from providers.models import AIModel, Kind, Provider

REQUESTER = "local"
SECRETS = frozenset(
    {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "API_KEY_PEPPER", "RECOVERY_KEY", "DATABASE_URL", "REDIS_URL"}
)


@dataclass(frozen=True, slots=True)
class Embedded:
    """One embedded model: the provider that it stands behind and the model's row."""

    provider_name: str
    kind: str
    model: str
    description: str
    context_length: int
    max_output: int | None = None


CHAT = Embedded(
    "Embedded model",
    Kind.LLM,
    local.CHAT_MODEL,
    "A small model that comes with the gateway: for trying things out, free.",
    local.CHAT_CONTEXT,
    local.CHAT_MAX_OUTPUT,
)
EMBEDDING = Embedded(
    "Embedded embeddings",
    Kind.EMBEDDING,
    local.EMBEDDING_MODEL,
    "Embeddings of 384 numbers that come with the gateway, free.",
    local.EMBEDDING_CONTEXT,
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the two models listen, on 127.0.0.1."""

    chat: int
    embedding: int


def install() -> Ports:
    """Make the rows that are missing, and point them at ports that are free: the former ones if they still are."""
    with transaction.atomic():
        return Ports(_install(CHAT), _install(EMBEDDING))


def switch_off() -> None:
    """Without the process its providers can't be called. Rows that were never made stay so."""
    for provider in Provider.objects.filter(requester=REQUESTER, is_enabled=True):
        provider.is_enabled = False
        provider.save()


def _install(embedded: Embedded) -> int:
    provider = _find(embedded)
    port = free_port(urlsplit(provider.base_url).port if provider else None)
    base_url = f"http://127.0.0.1:{port}/v1"
    if provider is None:
        _create(embedded, base_url)
    elif (provider.base_url, provider.is_enabled) != (base_url, True):
        provider.base_url, provider.is_enabled = base_url, True
        provider.save()
    return port


def _find(embedded: Embedded) -> Provider | None:
    """By name, or by what it serves: whoever renames it in the console does not get a second one."""
    is_it = Q(name=embedded.provider_name) | Q(models__kind=embedded.kind)
    return Provider.objects.filter(is_it, requester=REQUESTER).order_by("id").first()


def _create(embedded: Embedded, base_url: str) -> None:
    provider = Provider(name=embedded.provider_name, requester=REQUESTER, base_url=base_url)
    provider.full_clean()
    provider.save()
    model = AIModel(
        provider=provider,
        name=embedded.model,
        upstream_name=embedded.model,
        kind=embedded.kind,
        description=embedded.description,
        price_in=0,
        price_out=0,
        context_length=embedded.context_length,
        max_output=embedded.max_output,
    )
    model.full_clean()
    model.save()


def program(ports: Ports) -> Program:
    """The process of both. It needs none of the gateway's secrets, so it gets none."""
    log = settings.VAR_DIR / "embedded-model.log"
    log.write_bytes(b"")
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # embeddings must not take the cores that answers are written on
    arguments = ["-m", "providers.local.server"]
    arguments += ["--chat-port", str(ports.chat), "--embedding-port", str(ports.embedding)]
    return Program(arguments, environment, log)


def is_ready(ports: Ports) -> bool:
    return all(answers(f"127.0.0.1:{port}") for port in (ports.chat, ports.embedding))
