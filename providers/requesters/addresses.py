"""Which addresses may be called: the egress rule as two tables.

Judged is the address, never the name: a name is resolved once, and what was judged is what gets connected, so a name
that changes its mind in between (DNS rebinding) gains nothing.
Sources: IANA's special-purpose address registries (RFC 6890 and its updates); the clouds' manuals for metadata.
"""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from providers.requesters.errors import EgressRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# What socket.getaddrinfo returns and socket.socket() and connect() take.
Candidate = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]

METADATA = "cloud metadata"
RESERVED = "reserved"

# Refused always, whatever the settings say.
FORBIDDEN: dict[str, str] = {
    "0.0.0.0/8": "unspecified",
    "::/128": "unspecified",
    "169.254.0.0/16": "link-local",
    "fe80::/10": "link-local",
    "100.100.100.200/32": METADATA,  # Alibaba Cloud
    "168.63.129.16/32": METADATA,  # Azure
    "192.0.0.0/24": RESERVED,  # holds 192.0.0.192, Oracle Cloud's metadata
    "fd00:ec2::/32": METADATA,  # AWS
    "fd20:ce::254/128": METADATA,  # Google Cloud
    "fd00:42::42/128": METADATA,  # Scaleway
    "224.0.0.0/4": "multicast",
    "ff00::/8": "multicast",
    "240.0.0.0/4": RESERVED,
    "192.0.2.0/24": RESERVED,
    "198.51.100.0/24": RESERVED,
    "203.0.113.0/24": RESERVED,
    "192.88.99.0/24": RESERVED,
    "2001:db8::/32": RESERVED,
    "2001::/32": RESERVED,  # Teredo hides an IPv4 address
}
PRIVATE: dict[str, str] = {
    "127.0.0.0/8": "loopback",
    "::1/128": "loopback",
    "10.0.0.0/8": "private",
    "172.16.0.0/12": "private",
    "192.168.0.0/16": "private",
    "100.64.0.0/10": "private",
    "198.18.0.0/15": "private",
    "fc00::/7": "private",
}
# An IPv6 form that carries an IPv4 address, and how many bits stand to its right.
WRAPPED: dict[str, int] = {
    "::ffff:0:0/96": 0,
    "::ffff:0:0:0/96": 0,
    "64:ff9b::/96": 0,
    "2002::/16": 80,
    "::/96": 0,  # IPv4-compatible, long deprecated; still routed by some
}

_forbidden = [(ip_network(network), why) for network, why in FORBIDDEN.items()]
_private = [(ip_network(network), why) for network, why in PRIVATE.items()]
_wrapped = [(IPv6Network(network), shift) for network, shift in WRAPPED.items()]
_global_ipv6 = IPv6Network("2000::/3")


def refusal(address: str, *, allow_private: bool) -> str | None:
    """Why this address may not be called, or None when it may."""
    plain = _unwrap(ip_address(address))
    if why := _find(plain, _forbidden):
        return why
    if why := _find(plain, _private):
        return None if allow_private else why
    if isinstance(plain, IPv6Address) and plain not in _global_ipv6:
        return RESERVED
    return None


def resolve(host: str, port: int, *, allow_private: bool) -> list[Candidate]:
    """The addresses of `host` that may be connected to, in the resolver's order; EgressRefused when none may."""
    found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    reasons = [refusal(str(candidate[4][0]), allow_private=allow_private) for candidate in found]
    allowed: list[Candidate] = [found[index] for index, why in enumerate(reasons) if why is None]
    if not allowed:
        raise EgressRefused(f"{host} may not be called: its address is {reasons[0] if reasons else 'unknown'}")
    return allowed


def _unwrap(address: Address) -> Address:
    if isinstance(address, IPv4Address) or _find(address, _private) or int(address) == 0:
        return address
    for network, shift in _wrapped:
        if address in network:
            return IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return address


def _find(address: Address, table: list[tuple[IPv4Network | IPv6Network, str]]) -> str | None:
    return next((why for network, why in table if address in network), None)
