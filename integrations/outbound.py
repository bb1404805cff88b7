"""Requests to addresses that a tenant has typed in: HTTPS, to the public internet, without redirects, within a deadline.

The name is resolved once, every address of it is checked, and the connection goes to the very address that was checked: a name that says
something else a moment later leads nowhere (CWE-918).
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from tenants.errors import DomainError
from tenants.saying import said

CONNECT_SECONDS = 4.0
WHOLE_SECONDS = 12.0
ANSWER_BYTES_MAX = 64 << 10
#: Addresses that only wrap another one: what they wrap is what would be reached.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: What the library takes for public, depending on its age: site-local, NAT64 of one's own network, documentation, IPv4-compatible.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(each)
    for each in (
        "fec0::/10",
        "64:ff9b:1::/48",
        "3fff::/20",
        "::/96",
        "2620:4f:8000::/48",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
    )
)
#: Ports below 1024 belong to services that are no web servers.
_WEB_PORTS = (80, 443)

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotReached(Exception):
    """Nobody answered; the text says why, without what was answered."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: the name it is for, and the checked address it is sent to."""

    host: str
    port: int
    address: str
    path: str
    secure: bool


def check(url: str) -> SplitResult:
    """The parts of an address that may be written to. Raises: DomainError `address_refused`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise _refused(said("It cannot be read.")) from problem
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise _refused(said("It has to begin with https:// and a name."))
    if parts.username is not None or parts.password is not None:
        raise _refused(said("It may not hold a user name or password."))
    if any(ord(letter) < 33 or ord(letter) > 126 for letter in url):
        raise _refused(said("Only plain letters, without spaces."))
    if port is not None and port < 1024 and port not in _WEB_PORTS:
        raise _refused(said("Its port is not one of a web server."))
    return parts


def resolve(url: str) -> Target:
    """Where `url` leads now. Raises: DomainError `address_refused`; NotReached."""
    parts = check(url)
    host = str(parts.hostname)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        raise NotReached(said("The name {host} is not known.", host=host)) from problem
    addresses = [str(each[4][0]).partition("%")[0] for each in found]
    for each in addresses:
        ours = _is_ours(ipaddress.ip_address(each))
        if not ours and not _is_public(ipaddress.ip_address(each)):
            raise _refused(said("It leads into a private network."))
        if not secure and not ours:
            raise _refused(said("It has to begin with https://."))
    path = parts.path or "/"
    return Target(host, port, addresses[0], f"{path}?{parts.query}" if parts.query else path, secure)


def post(url: str, body: bytes, *, headers: Mapping[str, str]) -> int:
    """Send it; -> the status that was answered. A redirect is an answer like any other and is not followed.

    Raises: NotReached; DomainError `address_refused`.
    """
    target = resolve(url)
    connection = _Pinned(target)
    clock = Timer(WHOLE_SECONDS, connection.cut)  # a server that sends a byte now and then is no server
    clock.start()
    try:
        connection.connect()
        connection.request("POST", target.path, body=body, headers={"User-Agent": "Pointdesk", **headers})
        answer = connection.getresponse()
        answer.read(ANSWER_BYTES_MAX)
        return answer.status
    except (OSError, http.client.HTTPException) as problem:
        raise NotReached(said("No answer ({problem}).", problem=type(problem).__name__)) from problem
    finally:
        clock.cancel()
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, for the name that the certificate has to be of."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.port, timeout=CONNECT_SECONDS)
        self.default_port = 443 if target.secure else 80
        self._target = target

    def connect(self) -> None:
        self.sock = socket.create_connection((self._target.address, self._target.port), timeout=CONNECT_SECONDS)
        if self._target.secure:
            context = ssl.create_default_context()
            wrapped = context.wrap_socket(self.sock, server_hostname=self._target.host, do_handshake_on_connect=False)
            self.sock = wrapped  # so that the clock can cut it while it shakes hands
            wrapped.do_handshake()

    def cut(self) -> None:
        sock = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself


def _is_public(address: Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_ours(address: Address) -> bool:
    """In a network that the operator has opened for receivers of their own."""
    networks = [ipaddress.ip_network(each) for each in settings.WEBHOOK_NETWORKS]
    return any(address in network for network in networks if network.version == address.version)


def _refused(why: str) -> DomainError:
    return DomainError("address_refused", said("Nothing is sent to this address. {why}", why=why))
