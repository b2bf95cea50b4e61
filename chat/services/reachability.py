"""Whether a provider answers and takes its key: a real request that costs nothing, where there is one."""

from chat.services import probes
from chat.services.probe_answers import short_reason
from common.database import borrowed_connection
from providers.models import Provider
from providers.requesters.call import Timeouts
from providers.requesters.errors import ModelNotFound, ProviderError
from providers.services.routing import accesses_of, vendor_of

PATIENCE = Timeouts(connect=5, first_byte=10, idle=10, total=10)
NO_KEY = "No enabled API key"


def check(*, provider: Provider) -> str:
    """Why calls to it would fail, in a few fixed words; empty when it answers.

    It is asked for its list of models with the first key that is on; one without a list is called.
    """
    if not vendor_of(provider).has_address:
        return _called(provider)
    with borrowed_connection():  # it is given back before the upstream is asked
        accesses = accesses_of(provider)
    if not accesses:
        return NO_KEY
    try:
        accesses[0].requester.within(PATIENCE).check()
    except ModelNotFound as error:
        return _called(provider) if probes.has_model_to_call(provider=provider) else short_reason(error)
    except ProviderError as error:
        return short_reason(error)
    return ""


def _called(provider: Provider) -> str:
    return probes.test_provider(provider=provider, seconds=PATIENCE.total).reason
