"""What this dialect refuses with."""

GENERAL = -1  # the code of all refusals that have no name of their own


class Refusal(Exception):
    """`code` is a whole number or a word, as the contract has it for each case; `retry_after` is in seconds."""

    def __init__(self, status: int, message: str, code: int | str = GENERAL, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after
