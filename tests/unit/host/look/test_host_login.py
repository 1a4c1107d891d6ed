"""The host's own logins are taken from where its Docker client has them, and go nowhere but to its engine."""

import base64
import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.host.look.host_login import host_login_script
from deploy_lib.release.image import Image

WORD = secrets.token_hex(8)
ODD = f'it\'s a "{WORD}\\word" $(x) `y` %s é'


class Host:
    """A home directory with a Docker configuration, and an engine that keeps what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.home, self.bin = folder / "home", folder / "bin"
        for each in (self.home / ".docker", self.bin):
            each.mkdir(parents=True)
        # What comes ends with the request that asks for the connection's end.
        self.program(
            "docker", f'sed "/^Connection: close/q" >{folder}/asked; ps -eo args >{folder}/args; echo answer'
        )
        self.folder = folder

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def configure(self, **content: Any) -> None:
        (self.home / ".docker/config.json").write_text(json.dumps(content, indent="\t"))

    def ask(self, *images: str) -> dict[str, Any]:
        """By image, the login that the engine got with it; nothing for none."""
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.home)}
        script = host_login_script([Image.parse(image) for image in images])
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=env, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "answer\n"
        found: dict[str, Any] = {}
        for line in (self.folder / "asked").read_text().split("\n"):
            if line.startswith("GET /distribution/"):
                name = line.split("/distribution/")[1].split("/json")[0]
                found[name] = None
            elif line.startswith("X-Registry-Auth: "):
                found[name] = json.loads(base64.urlsafe_b64decode(line.split(": ")[1]))
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def entry(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def login(user: str, password: str, server: str) -> dict[str, str]:
    return {"username": user, "password": password, "serveraddress": server}


def test_each_registry_gets_its_own_login_and_no_other(host: Host) -> None:
    host.configure(
        auths={
            "https://index.docker.io/v1/": entry("hub", "one"),
            "h.example:5000": entry("me", ODD),
            "https://old.example/v2/": entry("old", "three:3"),
            "hxexample": entry("not", "me"),
        },
        HttpHeaders={"User-Agent": "x"},
    )
    found = host.ask("redis:7", "h.example:5000/a/b:1", "old.example/c", "h.example/d", "other.example/e")
    assert found == {
        "redis:7": login("hub", "one", "https://index.docker.io/v1/"),
        "h.example:5000/a/b:1": login("me", ODD, "h.example:5000"),
        "old.example/c": login("old", "three:3", "old.example"),
        "h.example/d": None,
        "other.example/e": None,
    }
    assert WORD not in (host.folder / "args").read_text()


@pytest.mark.parametrize("where", ["credsStore", "credHelpers"])
def test_a_credential_helper_is_asked(host: Host, where: str) -> None:
    answer = json.dumps({"ServerURL": "x", "Username": "me", "Secret": ODD})
    (host.folder / "answer").write_text(answer)
    host.program(
        "docker-credential-box", f'[ "$(cat)" = h.example ] && [ "$1" = get ] && cat {host.folder}/answer'
    )
    value: Any = "box" if where == "credsStore" else {"a.example": "nobox", "h.example": "box"}
    host.configure(auths={"h.example": {}}, **{where: value})
    assert host.ask("h.example/a:1", "b.example/b:1") == {
        "h.example/a:1": login("me", ODD, "h.example"),
        "b.example/b:1": None,
    }


def test_a_token_is_no_password(host: Host) -> None:
    host.program(
        "docker-credential-box", """echo '{"Username":"\\u003ctoken\\u003e","Secret":"the-token"}'"""
    )
    host.configure(
        credHelpers={"h.example": "box"}, auths={"i.example": {"auth": "", "identitytoken": "other"}}
    )
    assert host.ask("h.example/a:1", "i.example/b:1") == {
        "h.example/a:1": {"identitytoken": "the-token", "serveraddress": "h.example"},
        "i.example/b:1": {"identitytoken": "other", "serveraddress": "i.example"},
    }


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"auths": {"h.example": {"auth": "%%%"}}}', '{"auths": null}']
)
def test_without_a_login_it_is_asked_without_one(host: Host, text: str | None) -> None:
    if text is not None:
        (host.home / ".docker/config.json").write_text(text)
    assert host.ask("h.example/a:1") == {"h.example/a:1": None}


def test_a_name_in_capital_letters_finds_its_login(host: Host) -> None:
    host.configure(auths={"H.example": entry("me", "one")})
    pinned = f"H.example/a:1@sha256:{'a' * 64}"
    assert host.ask(pinned) == {pinned.replace(":1@", "@"): login("me", "one", "H.example")}
