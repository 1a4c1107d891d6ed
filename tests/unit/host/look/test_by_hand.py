"""What somebody else has started, asked with a Compose that answers as a test wants."""

import json
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

from deploy_lib.compose.labels import CONFIG_HASH, DIRECTORY, FILES, PROJECT
from deploy_lib.compose.project import Project
from deploy_lib.host.look.by_hand import ByHand, ask_by_hand, started_from
from deploy_lib.secrets.placeholders import placeholder
from deploy_lib.secrets.places import Place
from deploy_lib.ssh.session import Session
from tests.unit import build

MADE = Project("shop", PurePosixPath("/srv/shop"), ("a.yml", "/etc/b.yml"))
WEB = build.container(labels={CONFIG_HASH: "h1"})


class Host:
    """Compose fills in what it is given; the web server listens on a port of the shell's, and signs with its key."""

    def __init__(self, *, hashes: str = "web h1\n", broken: str = "") -> None:
        self.hashes, self.broken = hashes, broken
        self.scripts: list[str] = []
        self.given: list[dict[str, str]] = []

    def run(self, script: str, env: dict[str, str] | None = None, **_: object) -> Any:
        self.scripts.append(script)
        self.given.append(dict(env or {}))
        code, out, err = self.answer(script, env or {})
        return SimpleNamespace(stdout=out, stderr=err, exit_code=code)

    def answer(self, script: str, env: dict[str, str]) -> tuple[int, str, str]:
        if "grep -oh" in script:
            return 0, "=== there\nHOME\nPORT\nLEVEL\n", ""
        if "config --hash" in script:
            return 0, self.hashes, ""
        if "docker inspect" in script:
            shown = {
                **dict.fromkeys(("hostname", "user", "working_dir"), ""),
                "id": WEB.id,
                "image": "h/web:1",
                "name": "/web-1",
                "labels": {},
                "ports": {"80/tcp": [{"HostPort": "8080"}]},
                "mounts": [],
                "restart": "no",
                "network": "shop_default",
                "memory": 0,
                "cpus": 1500000000,
            }
            return 0, json.dumps(shown) + '\n=environment web LEVEL "LEVEL=debug"\n', ""
        if self.broken:
            return 14, "", f'time="x" level=warning msg="no"\n{self.broken}\n'
        if not env.get("PORT", "").isdecimal():
            return 1, "", f"invalid published port: {env.get('PORT')}"
        if "SIGN_KEY" not in env:
            return 1, "", "required variable SIGN_KEY is missing a value: it signs"
        spec = {
            "image": "h/web:1",
            "profiles": ["crowd"],
            "environment": {
                "LEVEL": env.get("LEVEL", "info"),
                "SIGN": env["SIGN_KEY"],
                "URL": f"http://{env['LEVEL']}:{env['SIGN_KEY']}@h:{env['PORT']}",
                "PW": env["PW"],
                "LEGACY": env.get("LEGACY"),
            },
            "ports": [{"target": 80, "published": env["PORT"], "protocol": "tcp"}],
            "deploy": {"replicas": 2},
        }
        return 0, json.dumps({"services": {"web": spec, "idle": {"image": "x", "profiles": ["other"]}}}), ""


def asked(host: Host) -> ByHand | str:
    return ask_by_hand(cast(Session, host), build.stack(), MADE, (WEB,), ["PW"])


def test_variables_of_a_shell_come_from_the_containers_and_what_may_be_secret_stays() -> None:
    host = Host()
    found = asked(host)
    assert isinstance(found, ByHand)
    assert found.variables == {"PORT": "8080", "LEVEL": "debug"}
    assert found.hidden == (
        Place("web", "environment", "SIGN", ("", "SIGN_KEY", "")),
        Place("web", "environment", "URL", ("http://debug:", "SIGN_KEY", "@h:8080")),
        # The shell has none today, and may have had one then.
        Place("web", "environment", "LEGACY", ("", "LEGACY", "")),
    )
    assert (found.hidden_names, found.given_names) == (("LEGACY", "SIGN_KEY"), ("PW",))
    assert found.project.env_files == (".env",)
    assert (found.project.profiles, found.project.scale) == (("crowd",), (("web", 1),))
    assert (set(found.services), found.unlike) == ({"web"}, ())
    looked = next(script for script in host.scripts if "docker inspect" in script)
    assert "SIGN" not in looked
    # The last script has the values of the host, and no stand-in.
    assert host.given[-1] == found.variables
    assert "capture SIGN_KEY web environment SIGN" in host.scripts[-1]
    assert all("HOME" not in env for env in host.given)
    assert placeholder("PW") in host.given[1].values()


def test_containers_that_were_made_from_something_else_are_told() -> None:
    found = asked(Host(hashes="web h2\n"))
    assert isinstance(found, ByHand)
    assert found.unlike == ("web",)


def test_files_that_compose_does_not_read_say_why() -> None:
    assert asked(Host(broken="open /srv/shop/a.yml: no such file")) == "open /srv/shop/a.yml: no such file"


def test_a_project_is_what_most_of_its_containers_were_started_from() -> None:
    def one(files: str) -> Any:
        return build.container(labels={PROJECT: "shop", DIRECTORY: "/srv/shop", FILES: files})

    made = started_from([one("/srv/shop/a.yml"), one("/srv/shop/b.yml"), one("/srv/shop/b.yml")])
    assert made == Project("shop", PurePosixPath("/srv/shop"), ("b.yml",))
    assert started_from([build.container()]) is None
