"""Who may speak to us: checks of every request before anyone else sees it.

Bound to this machine only, no token is needed: programs of the owner may do as they like, and what must be kept out is
the web page the owner happens to look at. Browsers tell on pages: they send `Host`, `Origin`, `Sec-Fetch-Site` or
`Referer`, and a page cannot change those. Bound to anything else, a token is needed as well, unless it was waived.

| check | because |
|---|---|
| `Host` is this machine or was allowed | a foreign name can be made to point here (DNS rebinding) |
| `Origin`, if any, is our own; `null` never is | other pages post, open sockets and read what CORS lets them |
| `Sec-Fetch-Site`, if any, is not another's | the same for requests that carry no origin (images, scripts) |
| the body is not compressed | a small one could become an endless one |
| a page's change is JSON or an upload | the content types a form can send need no permission in a browser |
"""

import hmac
import ipaddress
import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from server.limits import Limits
from server.problems import RequestError

COOKIE = "heddle_token"
SAFE = ("GET", "HEAD", "OPTIONS")
# Nobody can register these, so nobody can point them here from outside.
_LOCAL_NAMES = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
# Existing editors send these bodies as text; whether they come from our own page is checked all the same.
_TEXT_BODIES = re.compile(r"^(/api)?/(userdata|settings)(/|$)")
_HOST = re.compile(r"^(?P<name>\[[0-9a-f:.%]+\]|[^:\[\]/@\s]+)(:(?P<port>\d{1,5}))?$")


@dataclass(frozen=True, slots=True)
class Access:
    """loopback: every address we are bound to is this machine's own. allow_hosts: further `Host` names; "*" is any.
    token: what must be shown beyond loopback; None there means the owner waived it.
    cors_origin: the page that may use us from elsewhere; "*" is any; None is none."""

    loopback: bool = True
    allow_hosts: tuple[str, ...] = ()
    token: str | None = None
    cors_origin: str | None = None

    @property
    def needs_token(self) -> bool:
        return not self.loopback and self.token is not None


def check(request: web.Request, access: Access) -> None:
    """Raises RequestError 400, 401, 403 or 415 for a request that may not pass."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "compressed_body", "Bodies must not be compressed; send them as they are"
        )
    host = _check_host(request, access)
    _check_page(request, access, host)
    if access.needs_token and request.path not in ("/health", "/api/health") and not token_shown(request, access):
        raise RequestError(
            HTTPStatus.UNAUTHORIZED,
            "token_required",
            "This server needs its token",
            "Open the URL it printed at its start, or send the header `Authorization: Bearer TOKEN`.",
        )


def check_size(request: web.Request, limits: Limits) -> None:
    """Raises RequestError 431 for headers that are too many or too large together."""
    size = sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
    if size > limits.headers or len(request.raw_headers) > limits.header_count:
        raise RequestError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            f"A request has at most {limits.header_count} headers of {limits.headers} bytes together",
        )


def token_shown(request: web.Request, access: Access) -> bool:
    """Whether the request carries the token: as a header, a cookie, or in the query (a browser's first visit)."""
    shown = [request.cookies.get(COOKIE), request.query.get("token")]
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        shown.append(value.strip())
    wanted = (access.token or "").encode()
    # Every one is compared, and in constant time: how long a refusal takes must not tell how much was right.
    matches = [hmac.compare_digest(one.encode("utf-8", "replace"), wanted) for one in shown if one]
    return any(matches)


def _check_host(request: web.Request, access: Access) -> tuple[str, str | None]:
    sent = request.headers.getall("Host", [])
    parsed = _split(sent[0].strip().lower()) if len(sent) == 1 else None
    if parsed is None:
        raise RequestError(HTTPStatus.BAD_REQUEST, "bad_host", "A request needs exactly one Host header")
    name, _ = parsed
    allowed = {host.lower() for host in access.allow_hosts}
    if "*" in allowed or name in allowed or is_loopback(name):
        return parsed
    if not access.loopback and (_is_address(name) or "." not in name or name.endswith(_LOCAL_NAMES)):
        return parsed
    if not access.loopback and access.needs_token:
        return parsed  # a page that got itself this name still has no token: cookies go by the name
    raise RequestError(
        HTTPStatus.FORBIDDEN,
        "host_not_allowed",
        f"This server does not answer to the name {name[:80]!a}",
        "If that is its name, start it with --allow-host NAME.",
    )


def _check_page(request: web.Request, access: Access, host: tuple[str, str | None]) -> None:
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "").lower()
    referer = request.headers.get("Referer")
    foreign = False
    if origin is not None:
        if origin.strip().lower() == "null":
            raise _refused("a page without an origin")
        foreign = not _same(origin, host)
    elif site:
        foreign = site not in ("same-origin", "none") and not _is_visit(request)
    elif referer and request.method not in SAFE:
        foreign = not _same(referer, host)
    if foreign:
        if not _allowed_from_elsewhere(origin or referer or "", access):
            raise _refused("a page of another site")
        return
    is_ours = request.match_info.http_exception is None  # else it is refused, or a pack's, whose pages send anything
    if (origin is not None or site or referer) and request.method not in SAFE and is_ours:
        _check_content_type(request)


def _check_content_type(request: web.Request) -> None:
    if not request.can_read_body:
        return
    kind = request.content_type
    if kind in ("application/json", "multipart/form-data") or _TEXT_BODIES.match(request.path):
        return
    raise RequestError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_content_type",
        "A page must send application/json or a multipart upload",
        f"received {kind[:80]!a}",
    )


def _allowed_from_elsewhere(origin: str, access: Access) -> bool:
    """Pages the owner named, by CORS or because a proxy shows us under that name."""
    if access.cors_origin == "*":
        return True
    try:
        parts = urlsplit(origin.strip().lower())
        name = parts.hostname
    except ValueError:
        return False
    if access.cors_origin is not None and f"{parts.scheme}://{parts.netloc}" == access.cors_origin.lower().rstrip("/"):
        return True
    return name is not None and name in {host.lower() for host in access.allow_hosts}


def _same(url: str, host: tuple[str, str | None]) -> bool:
    """Same name and port; a port that one side leaves out is not compared."""
    try:
        parts = urlsplit(url.strip().lower())
        name, port = parts.hostname, parts.port
    except ValueError:
        return False
    ours = host[0].strip("[]")
    return name == ours and (port is None or host[1] is None or str(port) == host[1])


def _is_visit(request: web.Request) -> bool:
    """Following a link to the editor from elsewhere: shows our page to the owner, and nothing to the other page."""
    return (
        request.method in ("GET", "HEAD")
        and request.path in ("/", "/index.html")
        and request.headers.get("Sec-Fetch-Mode", "").lower() == "navigate"
        and request.headers.get("Sec-Fetch-Dest", "").lower() == "document"
    )


def _refused(who: str) -> RequestError:
    return RequestError(
        HTTPStatus.FORBIDDEN,
        "origin_not_allowed",
        f"Refused: this request comes from {who}",
        "To let a page of another origin use this server, start it with --enable-cors-header ORIGIN.",
    )


def _split(host: str) -> tuple[str, str | None] | None:
    found = _HOST.match(host)
    return (found["name"], found["port"]) if found else None


def is_loopback(name: str) -> bool:
    """Whether a host name or address can only mean this machine. Addresses in odd spellings do not count."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
