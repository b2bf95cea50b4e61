"""A call's body as multipart/form-data: texts and files, in memory, within the same bounds as JSON."""

import hashlib
from io import BytesIO
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from gateway.dialects.incoming import BodyNotForm, BodyTooLarge, read_body
from providers.requesters.forms import FilePart

FORM = "multipart/form-data"


class KeepInMemory(FileUploadHandler):
    """The body is in memory already; Django's own handlers would write large files to the disk."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._data = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._data.write(raw_data)

    def file_complete(self, file_size: int) -> InMemoryUploadedFile:
        self._data.seek(0)
        return InMemoryUploadedFile(
            self._data, self.field_name, self.file_name, self.content_type, file_size, self.charset
        )


def read_form(request: HttpRequest) -> tuple[dict[str, Any], int]:
    """The fields (a text, a list of texts for `name[]`, or a FilePart) and how many bytes of them are text.

    Raises a BodyError.
    """
    kind, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    if kind.strip().lower() != FORM:
        raise BodyNotForm(f"Send {FORM}.")
    raw = read_body(request)
    # Django's parser knows the type in small letters only.
    meta = {**request.META, "CONTENT_TYPE": f"{FORM};{parameters}", "CONTENT_LENGTH": str(len(raw))}
    try:
        texts, files = MultiPartParser(meta, BytesIO(raw), [KeepInMemory()]).parse()
    except (RequestDataTooBig, SuspiciousOperation) as error:
        raise BodyTooLarge("The form has too many or too long fields.") from error
    except MultiPartParserError as error:
        raise BodyNotForm("The body is no valid form.") from error
    fields: dict[str, Any] = {}
    for name, values in texts.lists():
        fields[name.removesuffix("[]")] = values if name.endswith("[]") else values[-1]
    for name in files:
        file: Any = files[name]
        fields[name] = FilePart(str(file.name), str(file.content_type or "application/octet-stream"), file.read())
    return fields, len(raw) - sum(len(each.data) for each in fields.values() if isinstance(each, FilePart))


def content_of(fields: dict[str, Any]) -> bytes:
    """What a form says, whatever stood between its parts: for a form that is sent again the same."""
    said = {name: _of_file(value) if isinstance(value, FilePart) else value for name, value in fields.items()}
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _of_file(file: FilePart) -> dict[str, str]:
    return {"name": file.name, "type": file.content_type, "digest": hashlib.sha256(file.data).hexdigest()}
