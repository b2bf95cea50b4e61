"""Two requests for one answer: the second starts when the first is late, and the first answer wins."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from providers.requesters.call import CancelToken

Sent = TypeVar("Sent")
Ask = Callable[[CancelToken], Sent]


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[Sent]):
    token: CancelToken
    answers: tuple[Sent, ...] = ()
    error: BaseException | None = None

    def value(self) -> Sent:
        if self.error is not None:
            raise self.error
        return self.answers[0]


class _Race(Generic[Sent]):
    def __init__(self, token: CancelToken) -> None:
        self._token = token
        self._tokens: list[CancelToken] = []
        self._outcomes: queue.SimpleQueue[_Outcome[Sent]] = queue.SimpleQueue()

    def start(self, ask: Ask[Sent]) -> None:
        token = self._token.child(None)
        self._tokens.append(token)
        threading.Thread(target=self._run, args=(ask, token), name="hedge", daemon=True).start()

    def _run(self, ask: Ask[Sent], token: CancelToken) -> None:
        try:
            self._outcomes.put(_Outcome(token, (ask(token),)))
        except BaseException as error:  # handed over, and raised there
            self._outcomes.put(_Outcome(token, error=error))

    def next(self, seconds: float | None = None) -> _Outcome[Sent]:
        """Raises queue.Empty after so many seconds."""
        return self._outcomes.get(timeout=seconds)

    def end_all_but(self, winner: CancelToken, discard: Callable[[Sent], None]) -> None:
        """Without waiting: a loser that is just being answered takes its time."""
        for token in self._tokens:
            if token is not winner:
                token.cancel()
        threading.Thread(target=self._discard, args=(discard,), name="hedge-end", daemon=True).start()

    def _discard(self, discard: Callable[[Sent], None]) -> None:
        for answer in self.next().answers:
            discard(answer)


def first(
    lead: Ask[Sent], follow: Ask[Sent], patience_seconds: float, token: CancelToken, discard: Callable[[Sent], None]
) -> Sent:
    """The lead's answer, or of both when it is late the one that comes first; the last failure when there is none.

    The loser is cancelled; should it be answered all the same, `discard` gets that answer.
    """
    race: _Race[Sent] = _Race(token)
    race.start(lead)
    try:
        return race.next(patience_seconds).value()
    except queue.Empty:
        race.start(follow)
    outcome = race.next()
    if outcome.error is not None:
        return race.next().value()
    race.end_all_but(outcome.token, discard)
    return outcome.value()
