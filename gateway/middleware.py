"""The lane that calls take past the console's middleware."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve

from gateway.dialects.openai import views
from gateway.health import health

GetResponse = Callable[[HttpRequest], HttpResponseBase]

TRAFFIC = "/v1/"
# The busiest paths, found without walking the URL patterns.
BUSY: dict[str, Callable[..., HttpResponseBase]] = {
    "/v1/chat/completions": views.chat_completions,
    "/v1/completions": views.text_completions,
    "/v1/embeddings": views.embeddings,
    "/health": health,  # probes know no host name and no TLS
}


def traffic_lane(get_response: GetResponse) -> GetResponse:
    """Answer calls here; everything else goes on through sessions, CSRF and log-in."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        view = BUSY.get(request.path_info)
        if view is not None:
            return view(request)
        if request.path_info.startswith(TRAFFIC):
            match = resolve(request.path_info)
            response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
            return response
        return get_response(request)

    return middleware
