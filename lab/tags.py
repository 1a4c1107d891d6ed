"""Tags in a registry, over its HTTP interface: whether there is one, and giving an image another."""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from deploy_lib.errors import DeployError
from deploy_lib.secrets.value import Secret

KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Manifests, those of several platforms first: a registry gives the first kind that it has."""

TIMEOUT = 60.0


class RefusedError(DeployError):
    """The registry refused the login. GitHub's also answers so where there is no such image yet."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A login is for the host that it was given for, and for no other that this one names."""

    def redirect_request(self, *_: object) -> None:
        """Follows none: a manifest is where it was asked for."""


class Registry:
    """One registry, and who is logged in to it.

    Args:
        host: HOST or HOST:PORT; always reached over TLS.
        authority: certificates that it is checked against, instead of this machine's.
    """

    def __init__(self, host: str, username: str, password: Secret, *, authority: Path | None = None) -> None:
        self.host = host
        self._username, self._password = username, password
        context = ssl.create_default_context(cafile=str(authority) if authority else None)
        handler = urllib.request.HTTPSHandler(context=context)
        self._opener = urllib.request.build_opener(handler, _NoRedirect)

    def digest(self, repository: str, tag: str) -> str | None:
        """The digest that a tag leads to; None when there is no such tag.

        Raises:
            RefusedError: the login is not good for this.
            DeployError: the registry cannot be reached.
        """
        answer = self._ask("HEAD", repository, tag)
        return answer[0]["Docker-Content-Digest"] if answer else None

    def manifest(self, repository: str, tag: str) -> tuple[str, bytes]:
        """What a tag leads to, byte for byte, and its media type: of several platforms, the list of them.

        Raises:
            DeployError: there is no such tag, or the registry does not give it.
        """
        found = self._ask("GET", repository, tag)
        if found is None:
            raise DeployError(f"{self.host}/{repository} has no tag {tag}")
        headers, body = found
        return headers["Content-Type"], body

    def tag(self, repository: str, tag: str, new: str) -> str:
        """Makes `new` lead to what `tag` leads to, for all of its platforms, and gives the digest.

        Raises:
            DeployError: there is no such tag, or the registry refuses it.
        """
        kind, manifest = self.manifest(repository, tag)
        written = self._ask("PUT", repository, new, manifest, kind)
        if written is None:
            raise DeployError(f"{self.host}/{repository}:{new} could not be written")
        return str(written[0]["Docker-Content-Digest"])

    def _ask(
        self, method: str, repository: str, tag: str, body: bytes | None = None, kind: str = ""
    ) -> tuple[Message, bytes] | None:
        url = f"https://{self.host}/v2/{repository}/manifests/{tag}"
        headers = {"Accept": ", ".join(KINDS)} | ({"Content-Type": kind} if kind else {})
        try:
            try:
                return self._send(method, url, headers, body)
            except urllib.error.HTTPError as error:
                if error.code != 401:
                    raise
                login = self._login(error.headers.get("WWW-Authenticate", ""), repository, method)
            return self._send(method, url, {**headers, "Authorization": login}, body)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            where = f"{method} {repository}:{tag}"
            if error.code in (401, 403):
                hint = (
                    "is the password right, and may its owner write there?"
                    if method == "PUT"
                    else "is the password right, and may its owner read that? Registries refuse unknown images, too"
                )
                raise RefusedError(f"{self.host} refused the login: {where}", hint=hint) from None
            raise DeployError(f"{self.host} answered {error.code}: {where}") from None
        except OSError as error:
            raise DeployError(f"{self.host} cannot be reached: {getattr(error, 'reason', error)}") from None
        except HTTPException as error:
            hint = "run the same command again"
            raise DeployError(f"{self.host} gave no whole answer: {error}", hint=hint) from None

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[Message, bytes]:
        request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - always https
        answer: HTTPResponse
        with self._opener.open(request, timeout=TIMEOUT) as answer:
            return answer.headers, answer.read()

    def _login(self, challenge: str, repository: str, method: str) -> str:
        """The Authorization header that a registry asked for: the password, or a token that it buys."""
        pair = f"{self._username}:{self._password.reveal()}".encode()
        basic = f"Basic {base64.b64encode(pair).decode()}"
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() != "bearer":
            return basic
        given = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = given.get("realm", "")
        if not realm.startswith("https://"):
            raise DeployError(f"{self.host} sends logins to {realm!r}, which is not https")
        actions = "pull,push" if method == "PUT" else "pull"
        query = {"service": given.get("service", self.host), "scope": f"repository:{repository}:{actions}"}
        _, text = self._send("GET", f"{realm}?{urllib.parse.urlencode(query)}", {"Authorization": basic})
        try:
            answer = json.loads(text)
            return f"Bearer {answer.get('token') or answer['access_token']}"
        except (ValueError, KeyError, AttributeError):
            raise DeployError(f"{self.host} gave no token") from None
