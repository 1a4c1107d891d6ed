"""What Compose takes and does not do, or does in a way that no promise could be kept for; from a service's part of the rendering.

Whatever is listed here was tried, with Compose 2.26 and 2.40: docs/compose.md has a row for each construct of the specification.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from deploy_lib.compose.joins import joined


class Limit(Struct, frozen=True):
    """A construct that a host's Compose does not do as the file says.

    Attributes:
        what: for people.
        hint: what to do about it.
        refused: nothing is deployed with it; otherwise it has no effect, and a deployment says so.
        compose, engine: the versions that do it; "" for none, both for one that both have to be.
        delivery: of secrets, where this is a limit; "" for both ways.
    """

    what: str
    hint: str = ""
    refused: bool = True
    compose: str = ""
    engine: str = ""
    delivery: str = ""


OVERRIDE = Limit("!override in a Compose file", compose="2.24.4")

ALONE = Limit(
    "--service, which replaces what the files say of a service by the tag !override,",
    "or deploy the whole stack",
    compose=OVERRIDE.compose,
)

DROPPED = {
    "gw_priority": Limit("gw_priority of a service's network", compose="2.33.1", engine="28.0"),
    "!override": OVERRIDE,
}
"""By key or tag, what an older Compose takes and has no word of in its rendering: only the files tell."""


def limits(name: str, spec: Mapping[str, Any], data: Mapping[str, Any], ends: str) -> Iterator[Limit]:
    """Those of a service, and of what it uses.

    Args:
        data: the whole rendering.
        ends: see `Service`.
    """
    yield from _outside(name, spec)
    yield from _mounts(name, spec, data)
    yield from _given(name, spec, data)
    yield from _later(name, spec, data)
    yield from _nothing(name, spec)
    if ends == "must" and (others := joined(spec)):
        yield Limit(
            f"{name} ends when it has done its work, and is part of {', '.join(others)} (network_mode, ipc, pid or volumes_from): "
            "Compose could not tell whether it has changed, and would run it each time",
            "give it a network of its own, and name its volumes",
        )


def _outside(name: str, spec: Mapping[str, Any]) -> Iterator[Limit]:
    """What stands for something that is no container."""
    if provider := spec.get("provider"):
        yield Limit(
            f"{name} has provider: {provider.get('type')}, a program of the host in a container's place: it could be neither proven nor taken back",
            f"run what it stands for beside this stack, and leave {name} out: profiles: [by-hand]",
        )
    if models := spec.get("models"):
        yield Limit(
            f"{name} uses models: {', '.join(models)}, which Docker Model Runner pulls and serves: no rollback would bring an earlier one back",
            "serve it as a service with an image, and name its address in environment:",
        )
    if spec.get("use_api_socket"):
        yield Limit(
            f"{name} has use_api_socket, which puts the host's own registry logins into its container",
            "mount /var/run/docker.sock, and give it a login of its own as a Compose secret",
        )
    if (isolation := spec.get("isolation") or "default") != "default":
        yield Limit(f"{name} has isolation: {isolation}, which only Windows has", "take it out")


def _mounts(name: str, spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Limit]:
    for mount in spec.get("volumes") or ():
        source = str(mount.get("source") or "")
        if mount["type"] == "image":
            yield Limit(
                f"{name} mounts the image {source}, which is neither pulled nor pinned: no rollback would bring it back",
                "fill a volume with it in a service of that image, which ends then",
            )
        elif mount["type"] in ("cluster", "npipe"):
            yield Limit(
                f"{name} has a mount of the type {mount['type']}, which only {'Swarm' if mount['type'] == 'cluster' else 'Windows'} has",
                "mount a volume instead, with its driver",
            )
        volume = (data.get("volumes") or {}).get(source) or {} if mount["type"] == "volume" else {}
        options = volume.get("driver_opts") or {}
        device = str(options.get("device") or "")
        if device and is_bind(options) and not device.startswith("/"):
            yield Limit(
                f"the volume {source} has the device {device}, which the engine takes from its own working directory",
                f"write device: ${{PWD}}/{device.removeprefix('./')}, or mount {device} without a volume",
            )
        bind = mount.get("bind") or {}
        if bind.get("selinux") and not bind.get("create_host_path"):
            yield Limit(
                f"selinux: {bind['selinux']} of {source} in {name} (Compose takes it with create_host_path: true)",
                refused=False,
            )


def is_bind(options: Mapping[str, Any]) -> bool:
    """Whether a volume's options make it a directory of the host."""
    return not {"bind", "rbind"}.isdisjoint(str(options.get("o") or "").split(","))


def _given(name: str, spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Limit]:
    """Configs and secrets: Compose writes those that are no files into a container that it has made and not started."""
    closed = bool(spec.get("read_only"))
    mounted = list(_mounted(spec, data))
    for kind in ("config", "secret"):
        for each in spec.get(f"{kind}s") or ():
            key = each["source"]
            made = (data.get(f"{kind}s") or {}).get(key) or {}
            what = f"the {kind} {key} of {name}"
            if made.get("external") and kind == "config":
                yield Limit(f"{what} is external, which only Swarm has", f"write {key}: {{file: PATH}}")
            for driver in ("driver", "template_driver"):
                if made.get(driver):
                    yield Limit(f"{what} has {driver}: {made[driver]}, which only Swarm has", "take it out")
            if closed and not made.get("file") and not made.get("external"):
                yield Limit(
                    f"{name} is read_only, and Compose cannot write the {kind} {key} into it",
                    'deliver secrets as files: delivery = "memory" in deploy.toml'
                    if kind == "secret"
                    else f"write {key}: {{file: PATH}}",
                    delivery="compose" if kind == "secret" else "",
                )
            elif not made.get("file") and not made.get("external"):
                yield from _covered(name, kind, each, mounted)
            owned = [word for word in ("uid", "gid", "mode") if each.get(word) is not None]
            if owned and (made.get("file") or kind == "secret"):
                yield Limit(
                    f"{', '.join(owned)} of {what} (its file is mounted as it lies there)",
                    refused=False,
                    delivery="" if made.get("file") else "memory",
                )


def _covered(
    name: str, kind: str, given: Mapping[str, Any], mounted: list[tuple[str, str]]
) -> Iterator[Limit]:
    """A config or secret below something that is mounted."""
    key = str(given["source"])
    usual = PurePosixPath("/run/secrets" if kind == "secret" else "/")
    target = usual / str(given.get("target") or key)
    for how, place in mounted:
        if target.is_relative_to(place):
            end = (
                f"and a tmpfs at {place} would hide it"
                if how == "tmpfs"
                else f"and would be written into the {how} at {place}, where it stays"
            )
            yield Limit(
                f"the {kind} {key} of {name} belongs at {target}, {end}",
                'deliver secrets as files (delivery = "memory" in deploy.toml), or give it another target:'
                if kind == "secret"
                else f"write {key}: {{file: PATH}}, or give it another target:",
                delivery="compose" if kind == "secret" else "",
            )
            return


def _mounted(spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is mounted into a service, and where."""
    sources = [str(each).partition(":")[0] for each in spec.get("volumes_from") or ()]
    others = [(data.get("services") or {}).get(source) or {} for source in sources]
    for each in (spec, *others):
        for mount in each.get("volumes") or ():
            yield str(mount["type"]), str(mount.get("target") or "/")
    for place in spec.get("tmpfs") or ():
        yield "tmpfs", str(place).partition(":")[0]


def _later(name: str, spec: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Limit]:
    """What came later than the oldest Compose that is supported, which takes it without a word."""
    for hook in ("post_start", "pre_stop"):
        if spec.get(hook):
            yield Limit(f"{hook} of {name}", compose="2.30.0")
    if spec.get("gpus"):
        yield Limit(
            f"gpus of {name}", "or reserve it: deploy.resources.reservations.devices", compose="2.30.0"
        )
    if spec.get("mac_address"):
        yield Limit(f"mac_address of {name}", "or give it to a network of the service", compose="2.32.0")
    for mount in spec.get("volumes") or ():
        if (mount.get("bind") or {}).get("recursive"):
            yield Limit(f"recursive of {mount.get('source')} in {name}", compose="2.30.0")
    for key, joins in (spec.get("networks") or {}).items():
        if (joins or {}).get("driver_opts"):
            yield Limit(f"driver_opts of {name} in the network {key}", compose="2.27.1")
        if (joins or {}).get("gw_priority"):
            yield DROPPED["gw_priority"]
        if (joins or {}).get("interface_name"):
            yield Limit(f"interface_name of {name} in the network {key}", engine="28.1")
        if ((data.get("networks") or {}).get(key) or {}).get("enable_ipv4") is False:
            yield Limit(f"enable_ipv4 of the network {key}", compose="2.33.1", engine="28.0")


def _nothing(name: str, spec: Mapping[str, Any]) -> Iterator[Limit]:
    """What Compose takes and ignores in every version."""
    deploy = spec.get("deploy") or {}
    swarm = [
        key
        for key in ("endpoint_mode", "labels", "update_config", "rollback_config", "placement")
        if deploy.get(key)
    ]
    if deploy.get("mode") not in (None, "replicated"):
        swarm.insert(0, "mode")
    reserved = (deploy.get("resources") or {}).get("reservations") or {}
    swarm += [f"resources.reservations.{key}" for key in ("cpus", "generic_resources") if reserved.get(key)]
    policy = deploy.get("restart_policy") or {}
    swarm += [f"restart_policy.{key}" for key in ("delay", "window") if policy.get(key)]
    if swarm:
        yield Limit(
            f"{', '.join(f'deploy.{key}' for key in swarm)} of {name} (only Swarm has it)", refused=False
        )
    for key in ("credential_spec", "cpu_count", "cpu_percent"):
        if spec.get(key):
            yield Limit(f"{key} of {name} (only Windows has it)", refused=False)
    for each in spec.get("volumes_from") or ():
        if str(each).endswith(":ro"):
            yield Limit(
                f"ro of {each} in volumes_from of {name} (Compose mounts it read-write)", refused=False
            )
