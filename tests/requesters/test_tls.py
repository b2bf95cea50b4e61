import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from providers.requesters.egress import CancelToken, Timeouts, Transport
from providers.requesters.errors import Cancelled, Unavailable

NAME = "vendor.example"
TIMEOUTS = Timeouts(5, 5, 5, 10)


class TLSServer:
    """Answers each request with the SNI that it was asked for; "/hang" gets no answer."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        names = x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.certificate.write_bytes(private + signed.public_bytes(pem))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate)
        self.context.sni_callback = lambda _, server_name, __: self.asked.append(server_name)
        self.asked: list[str | None] = []
        self.requests = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            with self.context.wrap_socket(connection, server_side=True) as secure:
                while request := secure.recv(65536):
                    self.requests += 1
                    if b"/hang" not in request:
                        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except OSError:
            return


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TLSServer]:
    server = TLSServer(tmp_path)
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, *rest: real("127.0.0.1", port, *rest))
    yield server
    server.listener.close()


def test_the_name_is_what_tls_checks_though_an_address_is_connected_to(server: TLSServer) -> None:
    transport = Transport(allow_private=True, ca_bundle=str(server.certificate))
    for _ in range(3):
        upstream = transport.send("GET", f"https://{NAME}:{server.port}/", {}, None, TIMEOUTS)
        assert upstream.read() == b"ok"
    assert server.asked == [NAME]  # SNI, and one handshake for all three
    assert server.requests == 3


def test_a_certificate_for_another_name_is_refused(server: TLSServer) -> None:
    transport = Transport(allow_private=True, ca_bundle=str(server.certificate))
    with pytest.raises(Unavailable, match="certificate"):
        transport.send("GET", f"https://other.example:{server.port}/", {}, None, TIMEOUTS)
    assert server.requests == 0


def test_an_unknown_authority_is_refused(server: TLSServer) -> None:
    with pytest.raises(Unavailable, match="certificate"):
        Transport(allow_private=True).send("GET", f"https://{NAME}:{server.port}/", {}, None, TIMEOUTS)
    assert server.requests == 0


def test_plain_http_behind_https_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(Unavailable):
            Transport(allow_private=True).send("GET", url, {}, None, TIMEOUTS)


def test_a_blocked_tls_read_is_cancelled_at_once(server: TLSServer) -> None:
    transport = Transport(allow_private=True, ca_bundle=str(server.certificate))
    token = CancelToken()
    threading.Timer(0.3, token.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        transport.send("GET", f"https://{NAME}:{server.port}/hang", {}, None, TIMEOUTS, token)
    assert time.monotonic() - started < 3
