"""Which digest a reference means, asked from the registries through a host's own engine."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote as url_quote

from msgspec import Struct

from deploy_lib.answers import text, understand
from deploy_lib.errors import NotUnderstoodError, RemoteError
from deploy_lib.host.look.registry_faults import Fault, fault_of
from deploy_lib.release.image import HUB, HUB_LOGIN, Image
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Session

RESOLVE_TIMEOUT = 60.0
"""Seconds until all answers must have come."""

_DIGEST = re.compile(r"\w+:[0-9a-f]{32,}\Z")


class Login(Struct, frozen=True):
    """Credentials at one registry.

    Attributes:
        host: `host[:port]`, as image references begin; "docker.io" for Docker Hub.
    """

    host: str
    username: str
    password: Secret

    def covers(self, image: Image) -> bool:
        """Whether an image is in this registry."""
        return image.in_registry(self.host)


def login_for(logins: Sequence[Login], image: Image) -> Login | None:
    """The login at an image's registry; None: the host's own counts, if it has one."""
    return next((login for login in logins if login.covers(image)), None)


class Manifest(Struct, frozen=True):
    """What a registry says of a reference.

    Attributes:
        digest: `sha256:...`, or "" when there is none.
        platforms: such as "linux/amd64".
        problem: why there is no digest, in the registry's words.
        status: the HTTP status of the host's engine: 401 and 403 are refused logins, 404 is an unknown image.
    """

    reference: Image
    digest: str = ""
    platforms: tuple[str, ...] = ()
    problem: str = ""
    status: int = 200

    @property
    def fault(self) -> Fault | None:
        """What the problem is; None where there is a digest."""
        return None if self.digest else fault_of(self.status, self.problem)


def resolve(
    session: Session,
    references: Sequence[Image],
    logins: Sequence[Login],
    *,
    timeout: float = RESOLVE_TIMEOUT,
) -> dict[Image, Manifest]:
    """Asks the registries, through the host's own engine: its names, its certificates, its mirrors.

    The credentials go over the session to the engine's socket; nothing is stored on the host. Its own credentials are not
    used: see `host_login`.

    Args:
        timeout: seconds until all answers must have come.

    Raises:
        RemoteError: the engine's socket cannot be used.
    """
    if not references:
        return {}
    # The Engine cancels a request whose client has closed its sending side, so that stays open until the answer.
    with session.start("exec docker system dial-stdio", timeout=timeout, keep_stdin=True) as process:
        process.send(b"".join(_request(r, login_for(logins, r), r == references[-1]) for r in references))
        said = process.read()
        stderr = process.stderr
    if not said:
        raise RemoteError(f"Docker's socket did not answer: {stderr.strip()}", node=session.node)
    return read_answers(said, references)


def read_answers(said: bytes, references: Sequence[Image]) -> dict[Image, Manifest]:
    """What the engine has answered, one after the other; an answer that is missing is one that was cut short."""
    answers = _Answers(said)
    return {reference: _manifest(reference, *_response(answers)) for reference in references}


def asked_path(reference: Image) -> str:
    """Where the engine answers for a reference. Of one with tag and digest the digest counts."""
    asked = reference.with_tag("") if reference.digest else reference
    return f"/distribution/{url_quote(str(asked), safe='/:@')}/json"


def _request(reference: Image, login: Login | None, last: bool) -> bytes:
    lines = [f"GET {asked_path(reference)} HTTP/1.1", "Host: docker"]
    if login is not None:
        lines.append(f"X-Registry-Auth: {_auth_header(login)}")
    if last:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _auth_header(login: Login) -> str:
    fields = {
        "username": login.username,
        "password": login.password.reveal(),
        # Docker Hub's own name for where one logs in.
        "serveraddress": HUB_LOGIN if login.covers(Image(HUB + "/x")) else login.host,
    }
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


class _Answers(io.BytesIO):
    """Several answers in a row, as the socket that `http.client` reads one after the other from."""

    def makefile(self, _mode: str) -> _Answers:
        return self

    def close(self) -> None:
        """Stays open: an answer that has been read must not take the next one with it."""


def _response(answers: _Answers) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(answers)  # type: ignore[arg-type]
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.HTTPException, ValueError, OSError, AttributeError) as error:
        return 502, json.dumps({"message": f"the engine's answer was cut short ({error})"}).encode()


def _manifest(reference: Image, status: int, body: bytes) -> Manifest:
    try:
        return understand(str(reference), lambda: _meaning(reference, status, json.loads(body)))
    except NotUnderstoodError:
        odd = "the engine's answer cannot be understood" if status == 200 else f"HTTP {status}"
        return Manifest(reference, problem=odd, status=status)


def _meaning(reference: Image, status: int, data: Any) -> Manifest:
    if status != 200:
        return Manifest(reference, problem=str(data.get("message", f"HTTP {status}")), status=status)
    digest = text(data["Descriptor"], "digest")
    if not _DIGEST.match(digest):
        raise ValueError(digest)
    if reference.digest not in ("", digest):
        return Manifest(reference, problem=f"it has another digest: {digest}", status=status)
    platforms = {f"{text(p, 'os')}/{text(p, 'architecture')}" for p in data.get("Platforms") or []}
    return Manifest(reference, digest, tuple(sorted(platforms)))
