"""A mail server on a socket: it takes every mail, or refuses as it is told to."""

import socketserver
from collections import deque
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.fakes.server import Served


class MailServer(Served):
    """`mails`: what came; `refusals`: answers to the next recipients."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refusals: deque[bytes] = deque()
        handler = type("Handler", (_Handler,), {"fake": self})
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])


class _Handler(socketserver.StreamRequestHandler):
    fake: MailServer

    def handle(self) -> None:
        self._say(b"220 fake ESMTP")
        while line := self.rfile.readline():
            verb, _, rest = line.rstrip(b"\r\n").partition(b" ")
            match verb.upper():
                case b"EHLO":
                    self._say(b"250-fake", b"250 8BITMIME")
                case b"RCPT":
                    self._say(self._recipient(rest.decode()))
                case b"DATA":
                    self._say(b"354 go on")
                    self.fake.mails.append(self._mail())
                    self._say(b"250 taken")
                case b"QUIT":
                    self._say(b"221 bye")
                    break
                case b"MAIL" | b"RSET":
                    self._say(b"250 ok")
                case _:
                    self._say(b"502 what?")

    def _recipient(self, text: str) -> bytes:
        if self.fake.refusals:
            return self.fake.refusals.popleft()
        self.fake.recipients.append(text.partition(":")[2].strip("<>"))
        return b"250 ok"

    def _mail(self) -> EmailMessage:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return message_from_bytes(b"".join(lines), policy=policy.default)  # type: ignore[return-value]  # the policy's

    def _say(self, *lines: bytes) -> None:
        self.wfile.write(b"".join(line + b"\r\n" for line in lines))
