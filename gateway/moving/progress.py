"""How far a move is: a bar where somebody looks at a terminal, else a line now and then."""

import time
from typing import TextIO

BAR_WIDTH = 30
SECONDS_BETWEEN = {True: 0.1, False: 5.0}  # on a terminal or not


class Progress:
    """One stage after the other; `begin` starts the next one, `finish` ends the last."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.stage, self.total, self.done = "", 0, 0
        self.told_at = 0.0

    def begin(self, stage: str, total: int) -> None:
        self.finish()
        self.stage, self.total, self.done = stage, total, 0
        self.told_at = time.monotonic()
        if self.is_terminal:
            self._tell()

    def advance(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self.told_at >= SECONDS_BETWEEN[self.is_terminal]:
            self._tell()

    def finish(self) -> None:
        if self.stage:
            self._tell()
            if self.is_terminal:
                self.stream.write("\n")
        self.stage = ""

    def _tell(self) -> None:
        self.told_at = time.monotonic()
        share = self.done / self.total if self.total else 1.0
        text = f"{self.stage:<10} {self.done:>9,} of {self.total:,}"
        if self.is_terminal:
            filled = min(round(share * BAR_WIDTH), BAR_WIDTH)
            self.stream.write(f"\r{self.stage:<10} [{'#' * filled}{'-' * (BAR_WIDTH - filled)}] {text[11:]}")
        else:
            self.stream.write(f"{text}\n")
        self.stream.flush()
