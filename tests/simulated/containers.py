"""Calls of `docker` about containers."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from .engine import Engine
from .gateway import Gateway
from .images import described
from .project import ROLLED
from .server import Call
from .templates import render
from .things import Container, EngineError
from .words import Options


class ContainerCalls:
    """Those of one engine; each method is called as the command is."""

    engine: Engine

    def _ps(self, call: Call, options: Options, names: list[str]) -> None:
        everything = {"-a", "-aq", "-qa"} & {*options}
        found = [c for c in reversed(self.engine.containers.values()) if everything or c.state == "running"]
        for each in options.get("--filter", []):
            found = [c for c in found if self._matches(c, each)]
        form = options.get("--format", [""])[0]
        for c in found:
            identity = c.id if "--no-trunc" in options else c.id[:12]
            row = {"ID": identity, "Names": c.name, "Labels": c.labels, "Image": c.image, "State": c.state}
            row["Mounts"] = ",".join(m["Name"] or m["Source"] for m in self._described(c)["Mounts"])
            call.out((render(form, row) if form else identity) + "\n")

    def _matches(self, c: Container, filter_: str) -> bool:
        key, _, value = filter_.partition("=")
        if key == "label":
            name, equals, text = value.partition("=")
            return name in c.labels and (not equals or c.labels[name] == text)
        if key == "status":
            return c.state == value
        if key == "ancestor":
            return c.image_id == value
        if key == "name":
            return bool(re.search(value, c.name))
        raise NotImplementedError(filter_)

    def _inspect(self, call: Call, options: Options, names: list[str]) -> int:
        form = (options.get("--format") or options.get("-f") or [""])[0]
        code = 0
        for name in names:
            try:
                found = self._described(self.engine.look(self.engine.find(name)))
            except EngineError:
                try:
                    found = described(self.engine.image(name))
                except EngineError:
                    call.err(f"Error: No such object: {name}\n")
                    code = 1
                    continue
            call.out((render(form, found) if form else json.dumps([found])) + "\n")
        return code

    def _described(self, c: Container) -> dict[str, Any]:
        health = c.health
        running = c.state == "running"
        published = [p for p in c.spec.get("ports") or () if p.get("published")]
        bindings = {
            f"{p['target']}/{p['protocol']}": [
                {"HostIp": p.get("host_ip", ""), "HostPort": str(p["published"])}
            ]
            for p in published
        }
        mounts = [
            {
                **{
                    "Type": m["type"],
                    "Destination": m["target"],
                    "RW": not m.get("read_only", False),
                    "Mode": "",
                    "Propagation": "",
                },
                **(
                    {
                        "Name": f"{c.project}_{m['source']}",
                        "Source": f"/var/lib/docker/volumes/{c.project}_{m['source']}/_data",
                        "Driver": "local",
                    }
                    if m["type"] == "volume"
                    else {"Name": "", "Source": m["source"]}
                ),
            }
            for m in c.spec.get("volumes") or ()
        ]
        state = {"Status": c.state, "ExitCode": c.code, "StartedAt": c.started, "Running": running}
        state["Health"] = {"Status": health, "Log": [{"ExitCode": 1, "Output": "ill"}]} if health else None
        return {
            "ID": c.id,
            "Id": c.id,
            "Name": f"/{c.name}",
            "Image": c.image_id,
            "State": state,
            "RestartCount": c.restarts,
            "SizeRw": 0,
            "Config": {
                "Image": c.image,
                "Labels": c.labels,
                "Env": [f"{k}={v}" for k, v in c.env.items()],
                "Cmd": c.spec.get("command") or [],
                "Volumes": None,
                "Healthcheck": c.spec.get("healthcheck"),
                "Hostname": c.id[:12],
                "User": "",
                "WorkingDir": "",
                "StopTimeout": None,
            },
            "HostConfig": {
                "PortBindings": bindings,
                "NetworkMode": f"{c.project}_default",
                "RestartPolicy": {"Name": c.spec.get("restart", "no")},
                "Memory": 0,
                "NanoCPUs": 0,
                "IpcMode": "private",
                "PidMode": "",
                "VolumesFrom": None,
                "Tmpfs": None,
                "Mounts": [
                    {"Type": m["Type"], "Source": m["Name"], "Target": m["Destination"]}
                    for m in mounts
                    if m["Name"]
                ],
            },
            "NetworkSettings": {
                "Ports": bindings if running else {},
                "Networks": {f"{c.project}_default": {"IPAddress": c.address, "GlobalIPv6Address": ""}},
            },
            "Mounts": mounts,
        }

    def _rm(self, call: Call, options: Options, names: list[str]) -> int:
        for name in names:
            self.engine.remove(self.engine.find(name), force="-f!" in options)
            call.out(f"{name}\n")
        return 0

    def _start(self, call: Call, options: Options, names: list[str]) -> None:
        for name in names:
            self.engine.start(self.engine.find(name))

    def _stop(self, call: Call, options: Options, names: list[str]) -> None:
        for name in names:
            self.engine.stop(self.engine.find(name))

    def _restart(self, call: Call, options: Options, names: list[str]) -> None:
        self._stop(call, options, names)
        self._start(call, options, names)

    def _rename(self, call: Call, options: Options, names: list[str]) -> None:
        old, new = names
        self.engine.rename(self.engine.find(old), new)

    def _create(self, call: Call, options: Options, names: list[str]) -> None:
        env = {name: call.env[name] for name in options.get("-e", [])}
        labels = dict(each.partition("=")[::2] for each in options.get("--label", []))
        made = self.engine.create(options["--name"][0], names[0], labels, {}, env)
        call.out(f"{made.id}\n")

    def _cp(self, call: Call, options: Options, names: list[str]) -> int:
        source, target = names
        if target != "-":
            return self._into(source, target)
        name, _, path = source.partition(":")
        c = self.engine.find(name)
        # Of a directory, the archive's names begin with its own.
        above = path.rpartition("/")[0]
        found = {each: text for each, text in c.files.items() if each == path or each.startswith(f"{path}/")}
        if not found:
            raise EngineError(f"Could not find the file {path} in container {name}")
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for each, text in sorted(found.items()):
                data = text.encode()
                info = tarfile.TarInfo(each.removeprefix(f"{above}/"))
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        call.out(stream.getvalue())
        return 0

    def _into(self, source: str, target: str) -> int:
        """Copies a directory to a place in a container where nothing is yet."""
        name, _, place = target.partition(":")
        c = self.engine.find(name)
        self.engine.moment(f"cp to {name}")
        c.files |= {f"{place}/{path.name}": path.read_text() for path in Path(source).iterdir()}
        return 0

    def _exec(self, call: Call, options: Options, names: list[str]) -> int:
        c = self.engine.find(names[0])
        if c.state != "running":
            raise EngineError(f"container {c.id} is not running")
        if names[1:2] == ["socat"]:
            line = call.stdin.decode()
            if "set server" in line:
                self.engine.moment(f"tell {c.name}")
            with self.engine.lock:
                call.out(Gateway(self.engine, c, ROLLED).answer(line))
            return 0
        self.engine.moment(f"exec {c.name}")
        return 0

    def _logs(self, call: Call, options: Options, names: list[str]) -> None:
        call.out(f"{self.engine.find(names[0]).says} speaks\n")

    def _diff(self, call: Call, options: Options, names: list[str]) -> None:
        self.engine.find(names[0])

    def _events(self, call: Call, options: Options, names: list[str]) -> None:
        """Those of about the last moment, and then each that happens, until who asked has ended."""
        with self.engine.lock:
            seen, run = self.engine.events, self.engine.run
            if self.engine.newest > float(options["--since"][0]):
                call.out(".\n")
            while not call.gone and self.engine.run == run:
                if self.engine.events > seen:
                    seen = self.engine.events
                    call.out(".\n")
                self.engine.happened.wait(0.05)
