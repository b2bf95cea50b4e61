"""What this dialect refuses with: a text, and always a code."""

from collections.abc import Mapping


class Refusal(Exception):
    """`reason` says of a right that is missing which one; `retry_after` is in seconds."""

    def __init__(
        self, status: int, message: str, code: str, *, reason: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.reason = reason
        self.retry_after = retry_after

    @property
    def content(self) -> Mapping[str, str]:
        return {"error": self.message, "code": self.code, **({"reason": self.reason} if self.reason else {})}


def invalid(message: str) -> Refusal:
    return Refusal(400, message, "INVALID_REQUEST")


def forbidden(reason: str) -> Refusal:
    return Refusal(403, "Access denied", "ACCESS_DENIED", reason=reason)


def no_provider() -> Refusal:
    return Refusal(404, "Provider not found", "PROVIDER_NOT_FOUND")


def no_user() -> Refusal:
    return Refusal(404, "User not found", "USER_NOT_FOUND")


def no_key() -> Refusal:
    return Refusal(404, "API key not found", "KEY_NOT_FOUND")


def no_path(method: str, path: str) -> Refusal:
    return Refusal(404, f"Not found: {method} {path}", "NOT_FOUND")
