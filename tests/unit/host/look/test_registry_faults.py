"""The words are those that engines, registries and Go's network library say; each leads to its own advice."""

import pytest

from deploy_lib.checks.images import advice
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.host.look.registry_faults import Fault
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret

LOGIN = Login("h.example:5443", "me", Secret("a-password"))
IMAGE, HUB = Image("h.example:5443/x", "1"), Image("redis", "7")


@pytest.mark.parametrize(
    ("status", "said", "fault", "hint"),
    [
        (500, 'Head "https://h.example:5443/v2/x/manifests/1": no basic auth credentials', "refused", "docker login h.example:5443"),
        (403, "pull access denied for x, repository does not exist or may require 'docker login'", "refused", "is the name right?"),
        (500, 'Head "https://h.example:5443/v2/x/manifests/1": denied: denied', "refused", "docker login h.example:5443"),
        (500, "failed to authorize: failed to fetch oauth token: unexpected status: 403 Forbidden", "refused", "log in"),
        (500, "error from registry: denied", "refused", "log in"),
        (404, "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n", "refused", "registries"),
        (404, "manifest unknown: manifest unknown", "missing", "is its name right?"),
        (500, "toomanyrequests: You have reached your pull rate limit.", "limit", 'host = "h.example:5443"'),
        (429, "slow down", "limit", "limits requests without a login"),
        (500, 'Get "https://h.example:5443/v2/": x509: certificate signed by unknown authority', "authority", "/etc/docker/certs.d/h.example:5443/ca.crt"),
        (500, "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time", "expired", "clock"),
        (500, "x509: certificate is valid for a.example, not h.example", "misnamed", "another name"),
        (500, "http: server gave HTTP response to HTTPS client", "plain", "insecure-registries"),
        (500, "dial tcp: lookup h.example on 127.0.0.11:53: no such host", "name", "getent hosts h.example"),
        (500, "dial tcp: lookup h.example: Temporary failure in name resolution", "name", "DNS"),
        (500, 'proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused', "proxy", "Environment"),
        (500, 'proxyconnect tcp: dial tcp: lookup proxy.corp on 127.0.0.53:53: no such host', "proxy", "Environment"),
        (500, 'proxyconnect tcp: tls: failed to verify certificate: x509: certificate signed by unknown authority', "proxy", "Environment"),
        *((500, f'Get "https://h.example:5443/v2/": {status}', "proxy", "let h.example:5443 through") for status in (
            "Forbidden", "Bad Gateway", "Service Unavailable", "Proxy Authentication Required\n",
        )),
        (500, 'Head "https://h.example:5443/v2/x/manifests/1": error parsing HTTP 403 response body: invalid character', "refused", "log in"),
        (500, 'error parsing HTTP 404 response body: invalid character', "missing", "is its name right?"),
        (500, 'Get "https://h.example:5443/v2/": tls: first record does not look like a TLS handshake', "plain", "insecure-registries"),
        (500, 'Get "https://h.example:5443/v2/": remote error: tls: certificate required', "client", "/etc/docker/certs.d/h.example:5443"),
        (500, "dial tcp 10.0.0.1:5443: connect: connection refused", "route", "can the host reach the registry"),
        (500, "dial tcp 10.0.0.1:5443: connect: no route to host", "route", "curl -v https://h.example:5443/v2/"),
        (500, "net/http: request canceled while waiting for connection (Client.Timeout exceeded)", "route", "reach"),
        (502, "the engine's answer was cut short (x)", "route", "reach"),
        (500, "received unexpected HTTP status: 503 Service Unavailable", "down", "try again later"),
        (500, "connect: permission denied", "other", "can the host reach the registry"),
    ],
)  # fmt: skip
def test_each_fault_is_told_from_the_others(status: int, said: str, fault: Fault, hint: str) -> None:
    manifest = Manifest(IMAGE, problem=said, status=status)
    assert manifest.fault == fault
    assert hint in advice(manifest, None)


def test_what_has_a_digest_has_no_fault() -> None:
    assert Manifest(IMAGE, f"sha256:{'a' * 64}").fault is None


def test_the_advice_hangs_on_whose_login_was_used() -> None:
    refused = Manifest(IMAGE, problem="unauthorized", status=401)
    assert "token of me at h.example:5443 have read:packages" in advice(refused, LOGIN)
    limited = Manifest(HUB, problem="toomanyrequests", status=500)
    assert 'host = "docker.io"' in advice(limited, None)
    assert "also those of me" in advice(limited, LOGIN)
    unreachable = Manifest(HUB, problem="no such host", status=500)
    assert "getent hosts registry-1.docker.io" in advice(unreachable, None)
