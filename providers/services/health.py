"""Active health checks: every key of every enabled provider is tried with a request that costs nothing, and the
processes that serve are told what came of it over the table of rests."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from providers.models import AIModel, Provider
from providers.requesters.call import Timeouts
from providers.requesters.errors import ProviderError
from providers.services import board_sync
from providers.services.board import Board
from providers.services.routing import Access, Target, accesses_of, target_of

PATIENCE = Timeouts(connect=5, first_byte=15, idle=10, total=20)
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Checked:
    """How one key of one provider is doing. `error` None: well."""

    provider: Provider
    key_name: str
    error: ProviderError | None
    milliseconds: int

    @property
    def is_well(self) -> bool:
        return self.error is None


def check(providers: Iterable[Provider]) -> list[Checked]:
    """Check them all, at most a few at a time. What fails rests from now on; what is well is called again."""
    asked = [(provider, access) for provider in providers for access in accesses_of(provider)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        checked = list(pool.map(lambda pair: _check(*pair), asked))
    _tell([access for _, access in asked], checked)
    return checked


def _check(provider: Provider, access: Access) -> Checked:
    requester = access.requester
    endpoint = replace(requester.endpoint, timeouts=requester.endpoint.timeouts.within(PATIENCE))
    started = time.monotonic()
    try:
        type(requester)(endpoint, requester.transport).check()
        error = None
    except ProviderError as failure:
        error = failure
    return Checked(provider, _key_name(provider, access), error, int((time.monotonic() - started) * 1000))


def _key_name(provider: Provider, access: Access) -> str:
    return next((key.name for key in provider.keys.all() if key.pk == access.key_id), "")


def _tell(accesses: Sequence[Access], checked: Sequence[Checked]) -> None:
    """This process serves nobody, so its board holds just what the others have written, and what it found."""
    board = Board()
    exchange = board_sync.Exchange(board)
    exchange.run()
    now = time.time()
    for access, result in zip(accesses, checked, strict=True):
        for target in _targets(result.provider, access):
            if result.error is None:
                board.succeeded(target, access, now)
            else:
                board.failed(target, access, result.error, now)
    exchange.run()


def _targets(provider: Provider, access: Access) -> list[Target]:
    models = AIModel.objects.filter(provider=provider, is_enabled=True).select_related("provider")
    return [target_of(model, (access,)) for model in models]
