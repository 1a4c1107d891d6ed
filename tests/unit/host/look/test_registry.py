import base64
import json

from deploy_lib.host.look import registry
from deploy_lib.host.look.registry import Login, Manifest, login_for
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret

LOGIN = Login("ghcr.io", "me", Secret("registry-pass"))
DIGEST = "sha256:" + "a" * 64


def test_credentials_go_to_their_own_registry_only() -> None:
    own = registry._request(Image("ghcr.io/o/x", "1"), login_for([LOGIN], Image("ghcr.io/o/x")), last=False)
    other = registry._request(
        Image("prom/prometheus", "v2"), login_for([LOGIN], Image("prom/prometheus", "v2")), last=True
    )
    evil = Image("ghcr.io.evil.example/o/x", "1")
    lookalike = registry._request(evil, login_for([LOGIN], evil), last=True)
    assert b"X-Registry-Auth" in own
    assert b"X-Registry-Auth" not in other
    assert b"X-Registry-Auth" not in lookalike
    header = own.split(b"X-Registry-Auth: ")[1].split(b"\r\n")[0]
    assert json.loads(base64.urlsafe_b64decode(header))["password"] == "registry-pass"


def test_answers_in_a_row_are_told_apart() -> None:
    good = json.dumps(
        {"Descriptor": {"digest": DIGEST}, "Platforms": [{"os": "linux", "architecture": "arm64"}]}
    ).encode()
    bad = b'{"message":"unauthorized"}'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(good),
        good,
    )
    refused = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%s" % (len(bad), bad)
    stream = registry._Answers(chunked + refused)
    assert registry._manifest(Image("a"), *registry._response(stream)) == Manifest(
        Image("a"), DIGEST, ("linux/arm64",)
    )
    second = registry._manifest(Image("b"), *registry._response(stream))
    assert (second.status, second.problem, second.digest) == (401, "unauthorized", "")
    assert registry._manifest(Image("c"), *registry._response(stream)).status == 502
