"""Calls of `docker` about images and volumes, and about the engine itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from .engine import Engine
from .server import Call
from .templates import render
from .things import PROJECT, Image
from .words import Options

VERSION, COMPOSE = "26.1.5+dfsg1", "2.26.1-4"


class ImageCalls:
    """Those of one engine; each method is called as the command is."""

    engine: Engine

    def _images(self, call: Call, options: Options, names: list[str]) -> None:
        form = options["--format"][0]
        for image in [*self.engine.images.values()]:
            rows = [
                {
                    "Repository": t.rpartition(":")[0],
                    "Tag": t.rpartition(":")[2],
                    "Digest": "<none>",
                    "ID": image.id,
                }
                for t in image.tags
            ]
            for each in image.digests:
                repository, _, digest = each.partition("@")
                tagged = [row for row in rows if row["Repository"] == repository]
                for row in tagged:
                    row["Digest"] = digest
                if not tagged:
                    rows.append({"Repository": repository, "Tag": "<none>", "Digest": digest, "ID": image.id})
            for row in rows:
                if not names or row["Repository"] == names[0]:
                    call.out(render(form, row) + "\n")

    def _image_inspect(self, call: Call, options: Options, names: list[str]) -> int:
        form = (options.get("--format") or options.get("-f") or [""])[0]
        for name in names:
            found = described(self.engine.image(name))
            call.out((render(form, found) if form else json.dumps([found])) + "\n")
        return 0

    def _pull(self, call: Call, options: Options, names: list[str]) -> None:
        self.engine.pull(names[0])

    def _tag(self, call: Call, options: Options, names: list[str]) -> None:
        self.engine.tag(*names)

    def _rmi(self, call: Call, options: Options, names: list[str]) -> None:
        self.engine.remove_image(names[0])

    def _login(self, call: Call, options: Options, names: list[str]) -> None:
        call.out("Login Succeeded\n")

    def _volume_ls(self, call: Call, options: Options, names: list[str]) -> None:
        for name, labels in self.engine.volumes.items():
            if all(f"label={PROJECT}={labels[PROJECT]}" == each for each in options.get("--filter", [])):
                call.out(f"{name}\n")

    def _volume_rm(self, call: Call, options: Options, names: list[str]) -> None:
        for name in names:
            self.engine.moment(f"volume rm {name}")
            self.engine.volumes.pop(name, None)

    def _volume_inspect(self, call: Call, options: Options, names: list[str]) -> None:
        form = (options.get("--format") or options.get("-f") or [""])[0]
        for name in names:
            labels = self.engine.volumes[name]
            described = {
                "Name": name,
                "Driver": "local",
                "Options": None,
                "Labels": labels,
                "Mountpoint": "/nowhere",
            }
            call.out(render(form, described) + "\n")

    def _network_ls(self, call: Call, options: Options, names: list[str]) -> None:
        """None is known: nothing that the scripts do depends on them here."""

    def _version(self, call: Call, options: Options, names: list[str]) -> None:
        form = options.get("--format", [""])[0]
        server = {"Version": VERSION, "Os": "linux", "Arch": "amd64"}
        call.out((render(form, {"Server": server}) if form else VERSION) + "\n")

    def _info(self, call: Call, options: Options, names: list[str]) -> None:
        described = {
            "ServerVersion": VERSION,
            "OSType": "linux",
            "Architecture": "x86_64",
            "DockerRootDir": "/",
            "NCPU": 2,
            "MemTotal": 1 << 34,
            "Swarm": {"LocalNodeState": "inactive"},
            "Runtimes": {"runc": {}},
            "Plugins": {
                "Log": ["json-file", "local", "none"],
                "Volume": ["local"],
                "Network": ["bridge", "host", "null"],
            },
            "ClientInfo": {"Plugins": [{"Name": "compose", "Version": COMPOSE}]},
        }
        call.out(render(options["--format"][0], described) + "\n")

    def _system_dial_stdio(self, call: Call, options: Options, names: list[str]) -> None:
        for line in call.stdin.decode().splitlines():
            if line.startswith("GET "):
                asked = unquote(line.split()[1]).removeprefix("/distribution/").removesuffix("/json")
                name, _, digest = asked.partition("@")
                found = [
                    d
                    for r, d in self.engine.registry.items()
                    if r in (name, f"{name}:latest") or (digest and r.startswith(f"{name}:"))
                ]
                known = next((d for d in found if digest in ("", d)), "")
                if known:
                    data: dict[str, Any] = {
                        "Descriptor": {"digest": known},
                        "Platforms": [{"os": "linux", "architecture": "amd64"}],
                    }
                else:
                    data = {"message": "manifest unknown: manifest unknown"}
                body = json.dumps(data)
                status = "200 OK" if known else "404 Not Found"
                call.out(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}")


def described(image: Image) -> dict[str, Any]:
    """An image, for templates."""
    config = {"Volumes": None, "Env": None, "Cmd": None, "Healthcheck": None, "Labels": None}
    return {
        "Id": image.id,
        "ID": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Config": config,
    }
