"""What the dashboard says while there has been no call: what is there already, and what to do next."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.models import ApiKey
from providers.models import AIModel, Kind, Provider


def steps(request: HttpRequest) -> dict[str, Any]:
    """The steps to a first call, and the call itself; the secret is the reader's to fill in."""
    model = AIModel.objects.routable().filter(kind=Kind.LLM).order_by("id").first()
    return {
        "steps": [
            _step("Add a provider", "An endpoint and its key.", Provider.objects.exists(), "providers_provider"),
            _step("Add a model", "A name for callers, a provider, prices.", model is not None, "providers_aimodel"),
            _step("Make an API key", "Its secret is shown once.", _has_key(), "accounts_apikey"),
        ],
        "curl": curl(request.build_absolute_uri("/v1/chat/completions"), model.name if model else "YOUR_MODEL"),
    }


def curl(url: str, model: str) -> str:
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
    return f"""curl {url} \\
  -H "Authorization: Bearer $WEIGHBRIDGE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{body}'"""


def _has_key() -> bool:
    return ApiKey.objects.usable().filter(is_internal=False).exists()


def _step(title: str, text: str, is_done: bool, admin_name: str) -> dict[str, Any]:
    return {"title": title, "text": text, "is_done": is_done, "url": reverse(f"admin:{admin_name}_add")}
