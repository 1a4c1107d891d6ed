"""Where a host is and how to log in to it, as OpenSSH itself reads ssh_config.

Paramiko's reader knows no `Include`, `IdentityAgent` or `IdentitiesOnly`; `ssh -G` is the accurate resolver.
"""

from __future__ import annotations

import shlex
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from deploy_lib.errors import UsageError


@dataclass(frozen=True)
class Target:
    """One end of an SSH connection.

    Attributes:
        name: the name that the operator uses.
        hostname: the name or address to connect to.
        jump: the ProxyJump hosts, nearest first.
        accept_new: ssh_config's StrictHostKeyChecking is "accept-new"; anything else is strict.
        jump_of: the host that it is a jump host of; "" when it is none.
    """

    name: str
    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str | None = None
    jump: tuple[str, ...] = ()
    proxy_command: str | None = None
    host_key_alias: str | None = None
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    accept_new: bool = False
    jump_of: str = ""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.name} (the jump host of {self.jump_of})" if self.jump_of else self.name

    @property
    def known_names(self) -> tuple[str, ...]:
        """The names that known_hosts is searched for, as `ssh` does; a new key is written down under the first."""
        if self.host_key_alias:
            return (self.host_key_alias,)
        return (self.hostname,) if self.port == 22 else (f"[{self.hostname}]:{self.port}", self.hostname)


def resolve(destination: str, ssh_config: Path | None = None) -> Target:
    """Asks `ssh -G` where `destination` ([user@]host[:port]) is.

    Raises:
        UsageError: there is no `ssh`, or ssh_config does not parse.
    """
    user, _, address = destination.rpartition("@")
    host, port = _split_port(address)
    command = ["ssh", "-G", *(["-F", str(ssh_config)] if ssh_config else [])]
    command += ["-l", user] if user else []
    command += ["-p", port] if port else []
    if host.startswith("-"):
        raise UsageError(f"{destination!r} is not a host name")
    if ssh_config and not ssh_config.is_file():
        raise UsageError(
            f"there is no ssh_config at {ssh_config}",
            mend="see `ssh_config` in deploy.toml, and -S of fab",
        )
    try:
        done = subprocess.run([*command, host], capture_output=True, text=True, timeout=20)
    except FileNotFoundError:
        raise UsageError(
            "the ssh program is not installed", mend="install OpenSSH's client (openssh-client)"
        ) from None
    if done.returncode:
        raise UsageError(f"ssh -G {host}: {done.stderr.strip()}", mend="mend your ssh_config")
    return parse(host, done.stdout)


def parse(name: str, text: str) -> Target:
    """A `Target` from the output of `ssh -G`."""
    options: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        options[key.lower()].append(value)

    def one(key: str) -> str | None:
        value = options[key][0] if options[key] else None
        return None if value in (None, "none") else value

    return Target(
        name=name,
        hostname=one("hostname") or name,
        port=int(one("port") or 22),
        user=one("user") or "root",
        identity_files=_paths(options["identityfile"]),
        identities_only=one("identitiesonly") == "yes",
        identity_agent=one("identityagent"),
        jump=tuple((one("proxyjump") or "").split(",")) if one("proxyjump") else (),
        proxy_command=one("proxycommand"),
        host_key_alias=one("hostkeyalias"),
        user_known_hosts=_path_list(one("userknownhostsfile")),
        global_known_hosts=_path_list(one("globalknownhostsfile")),
        accept_new=one("stricthostkeychecking") == "accept-new",
    )


def _path_list(value: str | None) -> tuple[Path, ...]:
    return _paths(shlex.split(value)) if value else ()


def _paths(values: list[str]) -> tuple[Path, ...]:
    return tuple(Path(value.strip('"')).expanduser() for value in values if value != "none")


def _split_port(address: str) -> tuple[str, str]:
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = address.partition(":")
    return (address, "") if ":" in port else (host, port)
