import socket
from typing import Any

import pytest

from providers.requesters import addresses
from providers.requesters.addresses import refusal
from providers.requesters.egress import Timeouts, Transport
from providers.requesters.errors import EgressRefused
from tests.fakes.openai import FakeOpenAI

GLOBAL = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700::1111",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "::127.0.0.1",
]
FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "2001:db8::1",
    "2001::1",
    "64:ff9b:1::1",
    "fec0::1",
    "5f00::1",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::ffff:0.0.0.0",
    "64:ff9b::6464:64c8",
]


@pytest.mark.parametrize("address", GLOBAL)
def test_global_addresses_may_be_called(address: str) -> None:
    assert refusal(address, allow_private=False) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_the_setting(address: str) -> None:
    assert refusal(address, allow_private=True) is None
    assert refusal(address, allow_private=False) in ("private", "loopback")


@pytest.mark.parametrize("address", FORBIDDEN)
def test_forbidden_addresses_are_refused_whatever_the_setting(address: str) -> None:
    assert refusal(address, allow_private=True)
    assert refusal(address, allow_private=False)


class Resolver:
    """Stands in for DNS; the answers are used up one by one, the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[addresses.Candidate]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in answer]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, answer, strict=True)
        ]


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "100.100.100.200"])
def test_a_name_that_leads_to_a_forbidden_address_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    Resolver(monkeypatch, [address])
    with pytest.raises(EgressRefused, match=r"metadata\.example") as caught:
        Transport(allow_private=True).send("GET", "http://metadata.example/", {}, None, Timeouts())
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (502, "egress_refused", True)


def test_a_name_that_leads_home_is_refused_without_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, ["127.0.0.1", "::1"])
    with pytest.raises(EgressRefused, match="loopback"):
        Transport(allow_private=False).send("GET", "http://home.example/", {}, None, Timeouts())


def test_among_several_addresses_only_allowed_ones_are_connected_to(
    monkeypatch: pytest.MonkeyPatch, openai: FakeOpenAI
) -> None:
    Resolver(monkeypatch, ["169.254.169.254", "127.0.0.1"])
    url = f"http://both.example:{openai.port}/_seen"
    assert Transport(allow_private=True).send("GET", url, {}, None, Timeouts(connect=2)).status == 200


def test_a_name_is_resolved_once_so_it_cannot_change_its_mind(
    monkeypatch: pytest.MonkeyPatch, openai: FakeOpenAI
) -> None:
    resolver = Resolver(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    url = f"http://rebinding.example:{openai.port}/_seen"
    assert Transport(allow_private=True).send("GET", url, {}, None, Timeouts()).status == 200
    assert resolver.asked == ["rebinding.example"]


def test_a_new_connection_is_judged_anew(monkeypatch: pytest.MonkeyPatch, openai: FakeOpenAI) -> None:
    Resolver(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    transport = Transport(allow_private=True)
    url = f"http://rebinding.example:{openai.port}/_seen"
    transport.send("GET", url, {}, None, Timeouts()).close()
    with pytest.raises(EgressRefused):
        transport.send("GET", url, {}, None, Timeouts())


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "[::ffff:7f00:1]"])
def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises(EgressRefused, match="loopback"):
        Transport(allow_private=False).send("GET", f"http://{host}:9/", {}, None, Timeouts())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1:25/",
        "//example.com/",
        "example.com/v1",
        "http://",
        "http://user:secret@example.com/",
        "http://exa mple.com:port/",
        "",
    ],
)
def test_anything_but_plain_http_urls_is_refused(url: str) -> None:
    with pytest.raises(EgressRefused):
        Transport(allow_private=True).send("GET", url, {}, None, Timeouts())
