"""Active health checks: every key of every enabled provider is tried with a request that costs nothing, and the
processes that serve are told what came of it over the table of rests."""

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from providers.models import AIModel, Provider
from providers.requesters.call import Timeouts
from providers.requesters.errors import AuthFailed, ProviderError, Timeout, Unavailable
from providers.services import board_sync
from providers.services.board import UNAUTHORIZED, Board
from providers.services.routing import Access, Target, accesses_if_sound, target_of

logger = logging.getLogger(__name__)

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
    asked = [(provider, access) for provider in providers for access in accesses_if_sound(provider)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        checked = list(pool.map(lambda pair: _check(*pair), asked))
    _tell([access for _, access in asked], checked)
    return checked


def _check(provider: Provider, access: Access) -> Checked:
    started = time.monotonic()
    error: ProviderError | None = None
    try:
        access.requester.within(PATIENCE).check()
    except ProviderError as failure:
        error = failure
    except Exception as failure:  # an answer of a kind that nobody thought of must not end the checks of the others
        logger.exception("%s could not be checked", provider.name)
        error = ProviderError(f"the check itself failed: {type(failure).__name__}")
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
                board.answered_a_check(target, access, now)
            elif _is_telling(result.error):
                board.failed(target, access, result.error, now)
    exchange.run()


def _is_telling(error: ProviderError) -> bool:
    """Whether a check that fails so means that calls would. A server may have no list of models, and a key may have
    no right to read it."""
    is_unknown_key = isinstance(error, AuthFailed) and error.upstream_status == UNAUTHORIZED
    return is_unknown_key or isinstance(error, Unavailable | Timeout)


def _targets(provider: Provider, access: Access) -> list[Target]:
    models = AIModel.objects.filter(provider=provider, is_enabled=True).select_related("provider")
    return [target_of(model, (access,)) for model in models]
