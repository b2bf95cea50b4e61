"""The documentation's page, as it has its requests but for straight quotes, and how they are sent."""

import json
from typing import Any

from django.test import Client

KEY = "br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
CHAT = """POST /v1/chat/completions
Content-Type: application/json
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx

{
"model": "claude-3-sonnet",
"messages": [
{
"role": "user",
"content": "ping"
}
],
"stream": true,
"temperature": 1,
"max_tokens": 4096
}"""
MODELS = """GET /v1/models
Authorization: Bearer br_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"""


def send(pasted: str, secret: str, **changed: Any) -> Any:
    """With a real key in the place of the page's. `changed`: fields of the body that name rows, whose numbers are
    others here."""
    head, _, body = pasted.replace(KEY, secret).partition("\n\n")
    first, *headers = head.split("\n")
    method, path = first.split(" ")
    named = dict(line.split(": ", 1) for line in headers)
    content_type = named.pop("Content-Type", "")
    text = json.dumps({**json.loads(body), **changed}) if changed else body
    return Client().generic(method, path, text, content_type=content_type, headers=named)
