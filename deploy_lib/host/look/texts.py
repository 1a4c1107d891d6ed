"""What containers have where a variable may have come to: asked for one by one where it may be a secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deploy_lib.answers import understand
from deploy_lib.compose.container import Container
from deploy_lib.compose.spots import Spot
from deploy_lib.shell import quote, words
from deploy_lib.ssh.session import Session

# By the names of Docker's own types, as in `compose/container.py`.
_INSPECT = (
    '{"id":{{json .ID}},"image":{{json .Config.Image}},"hostname":{{json .Config.Hostname}},"user":{{json .Config.User}},'
    '"working_dir":{{json .Config.WorkingDir}},"name":{{json .Name}},"labels":{{json .Config.Labels}},'
    '"ports":{{json .HostConfig.PortBindings}},"mounts":{{json .Mounts}},"restart":{{json .HostConfig.RestartPolicy.Name}},'
    '"memory":{{json .HostConfig.Memory}},"cpus":{{json .HostConfig.NanoCPUs}},"network":{{json .HostConfig.NetworkMode}}}'
)


def ask_texts(
    session: Session, spots: Sequence[Spot], containers: Sequence[Container], step: str
) -> dict[tuple[str, str, str], str]:
    """By service, kind and where, what the containers have there. Of the environment and the command, only what is asked for.

    Raises:
        RemoteError: the host does not answer.
        NotUnderstoodError: it answered with something else.
    """
    of = {c.service: c for c in reversed(containers)}
    lines = [f"docker inspect --format {quote(_INSPECT)} {words(*(c.id for c in of.values()))} || exit"]
    for spot in spots:
        wanted = {
            "environment": f'{{{{range .Config.Env}}}}{{{{if eq (index (split . "=") 0) "{spot.where}"}}}}{{{{json .}}}}{{{{end}}}}{{{{end}}}}',
            "argument": f"{{{{if gt (len .Config.Cmd) {spot.where}}}}}{{{{json (index .Config.Cmd {spot.where})}}}}{{{{end}}}}",
        }.get(spot.kind)
        if wanted is not None and spot.service in of:
            # What has a password within stays here, whatever its name.
            lines.append(
                f"x=$(docker inspect --format {quote(wanted)} {quote(of[spot.service].id)}) || exit\n"
                f"case $x in ''|*://*:*@*) ;; *) printf '%s %s %s %s\\n' ={spot.kind} {quote(spot.service)} {quote(spot.where)} \"$x\";; esac"
            )
    said = session.run("\n".join(lines), step=step).stdout
    return understand("what Docker says of the containers", lambda: _texts(said, containers))


def _texts(said: str, containers: Sequence[Container]) -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    services = {c.id: c.service for c in containers}
    for line in said.splitlines():
        if line.startswith("="):
            kind, service, where, text = line[1:].split(" ", 3)
            value = str(json.loads(text))
            found[service, kind, where] = value.partition("=")[2] if kind == "environment" else value
        elif line.strip():
            data = json.loads(line)
            service = services[data["id"]]
            found |= {(service, kind, where): text for kind, where, text in _shown(data)}
            found[service, "replicas", ""] = str(sum(c.service == service for c in containers))
    return found


def _shown(data: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    for kind in ("image", "hostname", "user", "working_dir"):
        yield kind, "", data[kind]
    yield "container_name", "", data["name"].removeprefix("/")
    yield "restart", "", data["restart"]
    yield "network_mode", "", data["network"]
    yield "memory", "", str(data["memory"])
    yield "cpus", "", f"{data['cpus'] / 1e9:g}"
    for label, value in (data["labels"] or {}).items():
        yield "label", label, value
    for port, bindings in (data["ports"] or {}).items():
        for binding in (bindings or ())[:1]:
            yield "port", port, binding["HostPort"]
            yield "address", port, binding.get("HostIp") or ""
    for mount in data["mounts"] or ():
        source = mount.get("Name") if mount["Type"] == "volume" else mount.get("Source")
        yield "mount", mount["Destination"], source or ""
