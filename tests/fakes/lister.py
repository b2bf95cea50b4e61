"""A strict fake of a server that only lists its models: entries in any vendor's form, under the paths it is given."""

from typing import Any

from tests.fakes.server import JSON, FakeVendor, Handler, Violation


class ListerHandler(Handler):
    fake: "FakeLister"  # type: ignore[misc]  # the ground declares its own

    def respond(self, body: Any) -> None:
        if self.headers.get("Authorization", "") not in (f"Bearer {self.fake.key}", ""):
            raise Violation("Incorrect API key provided", status=401)
        if self.command != "GET" or self.path != self.fake.path:
            self.send_json(404, {"error": {"message": f"no {self.path} here", "type": "not_found"}})
        elif self.fake.status != 200:
            self.send_json(self.fake.status, {"error": {"message": f"fake {self.fake.status} for {self.fake.key}"}})
        elif self.fake.hangs:
            self.hang()
        else:
            self.send_json(200, {"object": "list", "data": self.fake.entries})

    def error_body(self, violation: Violation) -> JSON:
        return {"error": {"message": violation.message, "type": "invalid_request_error"}}


class FakeLister(FakeVendor):
    """`entries` are what its list holds, `path` is where it is, `status` what it answers."""

    handler = ListerHandler

    def __init__(self, *entries: JSON | str, path: str = "/v1/models", status: int = 200, hangs: bool = False) -> None:
        super().__init__()
        self.entries = [{"id": each, "object": "model"} if isinstance(each, str) else each for each in entries]
        self.path = path
        self.status = status
        self.hangs = hangs
