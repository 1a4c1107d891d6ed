"""The registry's side is a server of these tests: one that asks for the password, and one that sells tokens, as GHCR does."""

import base64
import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from deploy_lib.errors import DeployError
from deploy_lib.secrets.value import Secret
from lab.credentials import make_certificate
from lab.tags import KINDS, RefusedError, Registry


class Served:
    """A registry with one repository, `o/i`, that has the tag `one`.

    Attributes:
        scheme: how it asks for a login.
        scopes: what tokens were sold for.
    """

    def __init__(self, folder: Path, scheme: str) -> None:
        self.scheme, self.password = scheme, secrets.token_urlsafe(12)
        self.token = secrets.token_urlsafe(12)
        self.manifests = {"one": (KINDS[0], b'{"one": 1}')}
        self.scopes: list[str] = []
        self.realm: str | None = None
        make_certificate(folder, "registry.test")
        self.authority = folder / "ca.crt"
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "registry.crt", folder / "registry.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"localhost:{self.server.server_address[1]}"

    def as_user(self, password: str) -> Registry:
        return Registry(self.host, "user", Secret(password), authority=self.authority)

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"user:{self.password}".encode()).decode()


def handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def reply(self, code: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            given = self.headers.get("Authorization")
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            url = urlsplit(self.path)
            if url.path == "/token":
                if given != served.basic:
                    return self.reply(401)
                served.scopes += parse_qs(url.query)["scope"]
                return self.reply(200, json.dumps({"token": served.token}).encode())
            realm = served.realm or f"https://{served.host}/token"
            bearer = f'Bearer realm="{realm}",service="it",scope="repository:o/i:pull"'
            wanted = f"Bearer {served.token}" if served.scheme == "bearer" else served.basic
            if given != wanted:
                asked = bearer if served.scheme == "bearer" else 'Basic realm="it"'
                return self.reply(401, WWW_Authenticate=asked)
            repository, _, tag = url.path.removeprefix("/v2/").partition("/manifests/")
            if repository == "o/moved":
                return self.reply(307, Location=f"https://{served.host}/token")
            if repository == "o/broken":
                return self.reply(500)
            if repository == "o/cut":
                self.send_response(200)
                self.send_header("Content-Length", "9")
                return self.end_headers()
            if self.command == "PUT":
                served.manifests[tag] = (str(self.headers["Content-Type"]), body)
                return self.reply(201, Docker_Content_Digest=digest(body))
            if repository != "o/i" or tag not in served.manifests:
                return self.reply(404)
            kind, manifest = served.manifests[tag]
            assert kind in str(self.headers["Accept"])
            return self.reply(200, manifest, Content_Type=kind, Docker_Content_Digest=digest(manifest))

        do_HEAD = do_PUT = do_GET  # noqa: N815

    return Handler


def digest(body: bytes) -> str:
    return f"sha256:{sha256(body).hexdigest()}"


@pytest.fixture(params=["basic", "bearer"])
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    made = Served(tmp_path, request.param)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_tag_has_a_digest_or_is_not_there(served: Served) -> None:
    registry = served.as_user(served.password)
    assert registry.digest("o/i", "one") == digest(b'{"one": 1}')
    assert registry.digest("o/i", "two") is None
    assert registry.digest("o/other", "one") is None


def test_an_image_gets_another_tag_as_it_is(served: Served) -> None:
    registry = served.as_user(served.password)
    assert registry.tag("o/i", "one", "two") == registry.digest("o/i", "one")
    assert served.manifests["two"] == served.manifests["one"]


def test_a_token_is_bought_for_writing_only_where_something_is_written(served: Served) -> None:
    served.as_user(served.password).tag("o/i", "one", "two")
    bought = ["repository:o/i:pull", "repository:o/i:pull,push"]
    assert served.scopes == (bought if served.scheme == "bearer" else [])


def test_a_tag_that_is_not_there_cannot_be_given_on(served: Served) -> None:
    with pytest.raises(DeployError, match="o/i has no tag nine"):
        served.as_user(served.password).tag("o/i", "nine", "two")


def test_a_wrong_password_is_said_and_not_shown(served: Served) -> None:
    wrong = secrets.token_urlsafe(12)
    with pytest.raises(RefusedError, match=r"localhost:\d+ refused the login: HEAD o/i:one") as caught:
        served.as_user(wrong).digest("o/i", "one")
    assert wrong not in str(caught.value)
    # To look takes no right to write.
    assert "may its owner read that?" in str(caught.value)


@pytest.mark.parametrize(("repository", "code"), [("o/broken", 500), ("o/moved", 307)])
def test_what_else_a_registry_answers_is_an_error_and_no_redirect_is_followed(
    served: Served, repository: str, code: int
) -> None:
    with pytest.raises(DeployError, match=f"answered {code}: HEAD {repository}:one"):
        served.as_user(served.password).digest(repository, "one")


def test_an_answer_that_is_cut_short_is_told_in_one_line(served: Served) -> None:
    with pytest.raises(DeployError, match=r"localhost:\d+ gave no whole answer: "):
        served.as_user(served.password).manifest("o/cut", "one")


def test_no_password_is_sent_where_anybody_could_read_it(served: Served) -> None:
    served.realm = f"http://{served.host}/token"
    registry = served.as_user(served.password)
    if served.scheme == "bearer":
        with pytest.raises(DeployError, match="which is not https"):
            registry.digest("o/i", "one")


def test_a_registry_that_nobody_vouches_for_gets_no_login(served: Served) -> None:
    with pytest.raises(DeployError, match=r"cannot be reached: .*certificate"):
        Registry(served.host, "user", Secret(served.password)).digest("o/i", "one")
    assert served.scopes == []
