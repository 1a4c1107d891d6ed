"""The lab's containers: hosts and two registries on one network."""

from __future__ import annotations

import re
import secrets
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from deploy_lib.errors import DeployError, PreflightError

from . import docker as build
from . import images
from .credentials import fingerprint, host_folder, write
from .layout import MIRROR, Lab, is_free
from .project import Host
from .settings import RELEASE

LABEL = "io.ktrdr.lab"
IDENTITY_LABEL = "io.ktrdr.lab.identity"
READY_TIMEOUT = 90.0
ANSWER_TIMEOUT = 10.0
CAP_SYS_RESOURCE = 24

Say = Callable[[str], None]

_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: /var/lib/docker-registry}}
  delete: {{enabled: true}}
http:
  addr: ":{port}"
"""
_TLS = """\
  tls: {certificate: /etc/lab/registry.crt, key: /etc/lab/registry.key}
auth:
  htpasswd: {realm: lab, path: /etc/lab/htpasswd}
"""


def remove_strangers(lab: Lab, say: Say) -> None:
    """Removes what an earlier lab of this path left behind when its folder was deleted.

    Its databases know passwords that are gone with that folder, so nothing of it can be used again.
    """
    volumes = _volumes(lab.prefix)
    own = build.run("volume", "ls", "-q", "--filter", f"label={IDENTITY_LABEL}={lab.identity}").split()
    if not volumes <= set(own):
        say("removing what is left of an earlier lab whose folder is gone")
        remove(lab.prefix, say)


def ensure_volume(lab: Lab, name: str, *labels: str) -> str:
    """Makes a volume of this lab, unless there is one, and gives its name."""
    chosen = [f"{IDENTITY_LABEL}={lab.identity}", *labels]
    build.run("volume", "create", *(word for label in chosen for word in ("--label", label)), name)
    return name


def start_registries(lab: Lab, say: Say) -> None:
    """Starts the private registry and the mirror, unless they run."""
    ensure_network(lab)
    registry, port_of_registry = lab.project.registry
    mirror, _, port_of_mirror = MIRROR.partition(":")
    for name, alias, port, more in (
        ("registry", registry, port_of_registry, _TLS),
        ("mirror", mirror, int(port_of_mirror), ""),
    ):
        ensure_volume(lab, lab.container(name), f"{images.STORE_LABEL}={secrets.token_hex(8)}")
        folder = lab.directory / name
        write(folder / "config.yml", _CONFIG.format(port=port) + more, 0o644)
        arguments = [
            *("--network-alias", alias),
            *("-v", f"{lab.container(name)}:/var/lib/docker-registry"),
            *("--mount", f"type=bind,src={folder},dst=/etc/lab,readonly"),
        ]
        ensure_container(lab, name, f"{images.REGISTRY}:{RELEASE}", {lab.ports[name]: port}, arguments, say)


def start_hosts(lab: Lab, say: Say, releases: Mapping[str, str]) -> None:
    """Starts the hosts, unless they run; one that runs but does not answer is restarted.

    Args:
        releases: by node, another Debian release than the project's.
    """
    engine_major = int(build.run("version", "--format", "{{.Server.Version}}").partition(".")[0])
    allowed = privileges(capabilities(), engine_major)
    for host in lab.machines:
        node = host.node
        release = releases.get(node, host.release)
        published = {lab.port(node, port): port for port in (22, *host.ports)}
        arguments = [
            *("--init", "--hostname", host.name, "--network-alias", host.name, "--tmpfs", "/run"),
            # A host copies them when it starts.
            *("--label", f"io.ktrdr.lab.keys={fingerprint(host_folder(lab, node))}"),
            # A host that is made anew, from a newer image, keeps what was deployed to it. (An older engine cannot
            # read what a newer one wrote, so each release has its own.)
            *("-v", f"{ensure_volume(lab, f'{lab.container(node)}-{release}-docker')}:/var/lib/docker"),
            *("-v", f"{ensure_volume(lab, f'{lab.container(node)}-{release}-opt')}:/opt"),
            *_shared(lab, host),
            *("--mount", f"type=bind,src={host_folder(lab, node)},dst=/etc/lab,readonly"),
            *allowed,
        ]
        started = ensure_container(lab, node, f"{images.HOST}:{release}", published, arguments, say)
        if not started and not host_answers(lab, node):
            say(f"restarting {lab.container(node)}, which runs but does not answer")
            build.run("restart", lab.container(node))


def _shared(lab: Lab, host: Host) -> list[str]:
    if host.shared is None:
        return []
    return ["-v", f"{ensure_volume(lab, lab.container('shared'))}:{host.shared}"]


def trust_registry(lab: Lab) -> None:
    """Lets the hosts' engines trust the private registry, under the name that this project gives it."""
    place = f"/etc/docker/certs.d/{lab.project.environment.registry_host}/ca.crt"
    for host in lab.machines:
        script = 'cmp -s /etc/lab/ca.crt "$0" || install -D -m 0644 /etc/lab/ca.crt "$0"'
        execute(lab, host.node, "sh", "-c", script, place)


def privileges(bounds: int | None, engine_major: int) -> list[str]:
    """What lets a container run an engine of its own.

    Args:
        bounds: the capabilities that this machine itself may have, as the kernel's bit mask; None where it says nothing.
        engine_major: version of this machine's engine. Those before 23 refuse `--privileged` where the machine lacks
            CAP_SYS_RESOURCE, and do with all others; later ones take what there is, and refuse to drop what is not.
    """
    if bounds is None or bounds >> CAP_SYS_RESOURCE & 1 or engine_major >= 23:
        return ["--privileged"]
    unconfined = [
        word
        for name in ("seccomp", "apparmor", "systempaths")
        for word in ("--security-opt", f"{name}=unconfined")
    ]
    return [
        *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", *unconfined),
        *("--device-cgroup-rule", "a *:* rwm", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    ]


def capabilities() -> int | None:
    """This process's bounding set; None on a system that has none."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(found[1], 16) if found else None


def ensure_network(lab: Lab) -> None:
    """Makes the lab's network."""
    known = build.run("network", "ls", "--format", "{{.Name}}").split()
    if lab.network not in known:
        build.run("network", "create", "--label", f"{LABEL}={lab.prefix}", lab.network)


def ensure_container(
    lab: Lab, name: str, image: str, published: Mapping[int, int], arguments: Sequence[str], say: Say
) -> bool:
    """Starts a container, or lets one go on that was paused; one from another image or with other arguments is made anew, and
    keeps its volumes.

    Args:
        published: the container's ports by the loopback port that leads to them.

    Returns:
        Whether it had to be started.

    Raises:
        PreflightError: another program has taken one of its ports.
    """
    container = lab.container(name)
    arguments = [
        *arguments,
        *(word for local, port in published.items() for word in ("-p", f"127.0.0.1:{local}:{port}")),
    ]
    wanted = f"{build.inspect(image, '{{.Id}}')} {' '.join(arguments)}"
    found = _inspect(container, '{{index .Config.Labels "io.ktrdr.lab.made-of"}}')
    if found != wanted:
        if found is not None:
            build.run("rm", "-f", container)
        say(f"creating {container}")
        labels = ["--label", f"{LABEL}={lab.prefix}", "--label", f"io.ktrdr.lab.made-of={wanted}"]
        build.run("create", "--name", container, "--network", lab.network, *labels, *arguments, image)
    if _inspect(container, "{{.State.Paused}}") == "true":
        say(f"unpausing {container}")
        build.run("unpause", container)
    if _inspect(container, "{{.State.Running}}") == "true":
        return False
    taken = [str(port) for port in published if not is_free(port)]
    if taken:
        raise PreflightError(
            f"{container} cannot start: another program listens on its port {', '.join(taken)}",
            hint="stop that program, or let the lab choose other ports: invoke lab.down lab.up",
        )
    say(f"starting {container}")
    build.run("start", container)
    return True


def _inspect(container: str, template: str) -> str | None:
    result = subprocess.run(
        [build.docker(), "container", "inspect", "--format", template, container],
        capture_output=True,
        text=True,
    )
    return result.stdout.strip() if result.returncode == 0 else None


def execute(lab: Lab, node: str, *command: str, check: bool = True, stdin: bytes | None = None) -> str:
    """Runs a command in a host, from outside and not over SSH, and gives its standard output.

    Raises:
        DeployError: it failed (with `check`).
    """
    result = subprocess.run(
        [build.docker(), "exec", "-i", lab.container(node), *command],
        input=stdin if stdin is not None else b"",
        capture_output=True,
    )
    if check and result.returncode:
        raise DeployError(
            f"{command[0]} failed in {lab.container(node)}: {result.stderr.decode(errors='replace').strip()}"
        )
    return result.stdout.decode(errors="replace")


def await_ready(lab: Lab) -> None:
    """Waits until every host's engine answers and sshd listens, and both registries serve.

    Raises:
        DeployError: one did not within a minute and a half.
    """
    deadline = time.monotonic() + READY_TIMEOUT
    for host in lab.machines:
        while not host_answers(lab, host.node):
            if time.monotonic() > deadline:
                log = execute(lab, host.node, "tail", "-n", "3", "/var/log/dockerd.log", check=False)
                raise DeployError(
                    f"the lab's host {host.name} did not come up: {log.strip()}",
                    hint="see: invoke lab.status",
                )
            time.sleep(0.3)
    for name in ("registry", "mirror"):
        while not registry_answers(lab, name):
            if time.monotonic() > deadline:
                container = lab.container(name)
                raise DeployError(
                    f"the lab's {name} did not come up",
                    hint=f"see: docker logs --tail 20 {container}; to make it anew: docker rm -f {container}, then invoke lab.up",
                )
            time.sleep(0.2)


def registry_answers(lab: Lab, name: str) -> bool:
    """Whether a registry serves: the engine takes connections to its port before it does."""
    port = lab.ports[name]
    if name == "registry":
        trusted = ssl.create_default_context(cafile=lab.directory / "registry" / "ca.crt")
        connection: HTTPConnection = HTTPSConnection(
            "localhost", port, timeout=ANSWER_TIMEOUT, context=trusted
        )
    else:
        connection = HTTPConnection("localhost", port, timeout=ANSWER_TIMEOUT)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def host_answers(lab: Lab, node: str) -> bool:
    """Whether a host's engine answers and its sshd listens."""
    check = "docker version >/dev/null 2>&1 && [ -n \"$(ss -Hltn 'sport = :22')\" ]"
    try:
        command = [build.docker(), "exec", lab.container(node), "sh", "-c", check]
        return subprocess.run(command, capture_output=True, timeout=ANSWER_TIMEOUT).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def remove(prefix: str, say: Say) -> None:
    """Removes a lab's containers, volumes and network."""
    chosen = f"label={LABEL}={prefix}"
    found = build.run("ps", "-aq", "--filter", chosen).split()
    if found:
        say(f"removing {len(found)} containers")
        build.run("rm", "-f", "-v", *found)
    if volumes := _volumes(prefix):
        build.run("volume", "rm", *sorted(volumes))
    networks = build.run("network", "ls", "-q", "--filter", chosen).split()
    if networks:
        build.run("network", "rm", *networks)


def _volumes(prefix: str) -> set[str]:
    return {name for name in build.run("volume", "ls", "-q").split() if name.startswith(f"{prefix}-")}
