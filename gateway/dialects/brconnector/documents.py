"""The `doc` part of a message, {"type": "doc", "doc": {name, format, size, source: {bytes}}}, as the `file` part that
requesters know (contract A2c.2).

Its clients send a Uint8Array the way JavaScript writes it, an object of numbers by their position, which is ten times
as long as the document: so it is replaced before anything measures or records the call.
"""

from base64 import b64decode, b64encode
from typing import Any

from chat.errors import BadCall

JSON = dict[str, Any]

# A cheap look whether a body is worth a search.
MARK = b'"doc"'
OFFICE = "application/vnd.openxmlformats-officedocument"
KINDS = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": f"{OFFICE}.wordprocessingml.document",
    "html": "text/html",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{OFFICE}.spreadsheetml.sheet",
}
ANY_KIND = "application/octet-stream"  # the vendor goes by the name then
LONGEST_FORMAT = 20
FORM = "{name, format, source: {bytes}}, with the bytes as a list or an object of numbers, or as a text in base64"


def with_files(body: JSON) -> JSON:
    """The body with a file in each document's place. Raises BadCall, naming the part, for one that can't be read."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    return {**body, "messages": [_message(each, f"messages[{place}]") for place, each in enumerate(messages)]}


def _message(message: JSON, where: str) -> JSON:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [_part(part, f"{where}.content[{place}]") for place, part in enumerate(content)]
    return {**message, "content": parts}


def _part(part: Any, where: str) -> Any:
    if not isinstance(part, dict) or part.get("type") != "doc":
        return part
    try:
        file = _file(part["doc"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BadCall(f"Invalid '{where}.doc': expected {FORM}.", f"{where}.doc") from None
    return {**{name: part[name] for name in part if name != "doc"}, "type": "file", "file": file}


def _file(doc: JSON) -> JSON:
    """Raises one of several errors for what is none."""
    name = doc.get("name") or "document"
    before, _, ending = name.rpartition(".")
    kind = doc.get("format") or (ending if before else "")
    data = _base64(doc["source"]["bytes"])
    if not data or not _is_format(kind):
        raise ValueError("nothing in it, or nobody knows what")
    filename = name if name.lower().endswith(f".{kind.lower()}") else f"{name}.{kind}"
    return {"filename": filename, "file_data": f"data:{KINDS.get(kind.lower(), ANY_KIND)};base64,{data}"}


def _is_format(kind: Any) -> bool:
    return isinstance(kind, str) and kind.isascii() and kind.isalnum() and len(kind) <= LONGEST_FORMAT


def _base64(values: Any) -> str:
    if isinstance(values, str):
        b64decode(values, validate=True)
        return values
    return b64encode(bytes(_in_order(values) if isinstance(values, dict) else _listed(values))).decode()


def _in_order(values: JSON) -> list[Any]:
    """JavaScript writes them in order, so that there is seldom anything to sort."""
    places = [str(place) for place in range(len(values))]
    return list(values.values()) if list(values) == places else [values[place] for place in places]


def _listed(values: Any) -> list[Any]:
    if not isinstance(values, list):  # a number would make as many zeros
        raise TypeError("no list")
    return values
