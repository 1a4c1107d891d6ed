"""What a registry's refusal means: the words of registries, engines and Go's network library, told apart."""

from __future__ import annotations

import re
from typing import Literal

Fault = Literal[
    "limit", "authority", "expired", "misnamed", "plain", "client", "refused", "missing", "name", "proxy", "route", "down", "other"
]  # fmt: skip
"""Why an image cannot be had.

limit: the registry has had too many requests. authority: its certificate comes from an authority that the host does not know.
expired, misnamed: its certificate is no longer valid, or for another name. plain: it speaks HTTP without TLS. client: it asks
for a certificate of the engine's own. refused: a
login, or what was tried without one. missing: it has no such image. name: its name cannot be looked up. proxy: the engine's
proxy does not answer, or does not let it through. route: it cannot be reached, or does not answer in time. down: it answers that it fails. other: none of
these.
"""

# The proxy before what else is said: its own name or certificate may be at fault.
_WORDS: tuple[tuple[Fault, tuple[str, ...]], ...] = (
    ("limit", ("toomanyrequests", "too many requests", "rate limit")),
    ("proxy", ("proxyconnect",)),
    ("expired", ("certificate has expired or is not yet valid",)),
    ("misnamed", ("certificate is valid for", "is not valid for any names", "doesn't contain any ip sans", "cannot validate certificate for")),
    ("authority", ("x509: certificate signed by unknown authority", "certificate is not trusted", "x509: ")),
    ("plain", ("server gave http response to https client", "first record does not look like a tls handshake")),
    ("client", ("tls: certificate required", "tls: bad certificate")),
    (
        "refused",
        (
            "unauthorized",
            "authentication required",
            "incorrect username or password",
            "access denied",
            "access forbidden",
            "requested access to the resource is denied",
            "no basic auth credentials",
            "insufficient_scope",
            # GitHub's registry, of a token that has expired: "denied: denied", or what it answers where tokens are bought.
            ": denied",
            "403 forbidden",
            # What an answer is that is no JSON, as of a web server that stands before a registry.
            "error parsing http 401 response body",
            "error parsing http 403 response body",
        ),
    ),
    (
        "missing",
        ("manifest unknown", "name unknown", "repository name not known", "not found: manifest", "manifest not found", "no such manifest", "error parsing http 404 response body"),
    ),
    ("name", ("no such host", "server misbehaving", "name resolution")),
    ("down", ("unexpected http status: 5", "internal server error", "bad gateway", "service unavailable")),
    (
        "route",
        (
            "connection refused",
            "no route to host",
            "network is unreachable",
            "i/o timeout",
            "handshake timeout",
            "client.timeout",
            "deadline exceeded",
            "request canceled while waiting",
            "connection reset",
            "broken pipe",
            ": eof",
            "cut short",
        ),
    ),
)  # fmt: skip
"""In this order: what comes first is the more certain."""

_NOT_LET_THROUGH = re.compile(
    r"""(get|head|post)\ "https://[^"]+":
    \ (forbidden|bad\ gateway|service\ unavailable|gateway\ timeout|method\ not\ allowed|proxy\ authentication\ required)\s*\Z""",
    re.VERBOSE,
)
"""A proxy's answer to CONNECT is told by the text of its status alone; a registry's own has more words."""

_STATUS: dict[int, Fault] = {429: "limit", 401: "refused", 403: "refused", 404: "missing"}


def fault_of(status: int, said: str) -> Fault:
    """What a failure means.

    Args:
        status: of HTTP, as the engine answers; most failures of a registry are its 500.
        said: in whose words ever.
    """
    text = said.lower()
    if _NOT_LET_THROUGH.search(text):
        return "proxy"
    found = next((fault for fault, words in _WORDS if any(word in text for word in words)), None)
    known = _STATUS.get(status)
    # An engine answers 404 to what was refused, too: the words say more.
    if known is not None and (found is None or known in ("limit", "refused")):
        return known
    return found or "other"
