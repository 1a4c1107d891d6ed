"""What OpenSSH itself makes of ssh_config for a destination.

Paramiko's reader knows no `Include`, `IdentityAgent` or `IdentitiesOnly`; `ssh -G` is the accurate resolver. What that
prints unexpanded, `tokens` expands.
"""

from __future__ import annotations

import functools
import subprocess
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy_lib import address
from deploy_lib.errors import UsageError
from deploy_lib.ssh import tokens
from deploy_lib.ssh.alike import alike
from deploy_lib.ssh.keywords import not_done
from deploy_lib.ssh.target import METHODS, Keys, Target, Trust
from deploy_lib.ssh.trust import text

_SHARES = (None, "no", "false", "auto", "autoask")
"""The values of ControlMaster with which `ssh` shares a session that is there."""

_WITH_TOKENS = (
    "identityfile",
    "certificatefile",
    "proxycommand",
    "proxyjump",
    "knownhostscommand",
    "revokedhostkeys",
)
"""The keywords whose tokens `ssh -G` leaves as they are."""


def resolve(destination: str, ssh_config: Path | None = None) -> Target:
    """Asks `ssh -G` where `destination` ([user@]host[:port]) is.

    Raises:
        UsageError: there is no `ssh`, or ssh_config does not parse.
    """
    try:
        parts = address.parse(destination)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if ssh_config and not ssh_config.is_file():
        raise UsageError(
            f"there is no ssh_config at {ssh_config}",
            hint="see `ssh_config` in deploy.toml, and -S of fab",
        )
    command = ["-F", str(ssh_config)] if ssh_config else []
    command += ["-l", parts.user] if parts.user else []
    command += ["-p", parts.port] if parts.port else []
    options = _shared(command, parts.host, ssh_config) or Options(_ask(*command, parts.host))
    if options.have_tokens:
        asked = Options(_ask("-o", f"ControlPath={tokens.QUESTION}", *command, parts.host))
        options.tokens = tokens.answered(
            asked.one("controlpath") or "", options.one("hostkeyalias"), options.one("proxyjump")
        )
    return options.target(parts.host)


_answers: dict[tuple[object, ...], Options] = {}
_turns: defaultdict[tuple[object, ...], threading.Lock] = defaultdict(threading.Lock)


def _shared(command: Sequence[str], host: str, ssh_config: Path | None) -> Options | None:
    """What `ssh` has answered for a host that is treated alike; None where each has to be asked for."""
    # Without -F there is also the machine's own file, and only `ssh` knows where.
    found = alike(text(ssh_config), host) if ssh_config else None
    if found is None:
        return None
    key = (found.settings, *command)
    with _turns[key]:
        if key not in _answers:
            _answers[key] = Options(_ask(*command, host))
    # A port that was typed counts more than the file's.
    return _answers[key].of({k: v for k, v in found.own.items() if k != "port" or "-p" not in command})


def _ask(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["ssh", "-G", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            **tokens.AS_WRITTEN,
        )
    except FileNotFoundError:
        raise UsageError(
            "the ssh program is not installed", hint="install OpenSSH's client (openssh-client)"
        ) from None
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"ssh -G {arguments[-1]} did not end within 20 s", hint="see `Match exec` in your ssh_config"
        ) from None
    if done.returncode:
        raise UsageError(f"ssh -G {arguments[-1]}: {done.stderr.strip()}", hint="fix your ssh_config")
    return done.stdout


@functools.cache
def _own() -> Options:
    """What `ssh` does without any ssh_config."""
    return Options(_ask("-F", "/dev/null", "localhost"))


class Options:
    """The output of `ssh -G`.

    Attributes:
        tokens: what stands for each token.
    """

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = defaultdict(list)
        for line in text.splitlines():
            key, _, value = line.partition(" ")
            self._values[key.lower()].append(value)
        self.tokens: Mapping[str, str] = {}

    def of(self, own: Mapping[str, str]) -> Options:
        """The same for another host.

        Args:
            own: its own values, by keyword.
        """
        made = Options("")
        made._values.update(self._values)
        made._values.update({keyword: [value] for keyword, value in own.items()})
        return made

    @property
    def have_tokens(self) -> bool:
        """Whether a value that `ssh -G` leaves as it is has tokens."""
        return any("%" in value for keyword in _WITH_TOKENS for value in self._values[keyword])

    def one(self, keyword: str) -> str | None:
        """The value of a keyword that has one; None for "none"."""
        value = self._values[keyword][0] if self._values[keyword] else None
        return None if value in (None, "none", "") else value

    def target(self, name: str) -> Target:
        """All that a connection needs."""
        jump, command = self.one("proxyjump"), self.one("proxycommand")
        return Target(
            name=name,
            hostname=self.one("hostname") or name,
            port=int(self.one("port") or 22),
            user=self.one("user") or "root",
            keys=self._keys(),
            trust=self._trust(),
            jump=tuple(self._expanded(hop.strip(), "ProxyJump") for hop in jump.split(",")) if jump else (),
            proxy_command=self._expanded(command, "ProxyCommand") if command else None,
            passes_socket=self._yes("proxyusefdpass"),
            family=self.one("addressfamily") or "any",
            bind=self.one("bindaddress"),
            interface=self.one("bindinterface"),
            attempts=self._number("connectionattempts", 1),
            timeout=self._number("connecttimeout", 0) or None,
            ciphers=self._chosen("ciphers"),
            macs=self._chosen("macs"),
            kex=self._chosen("kexalgorithms"),
            # With "yes" and "ask", `ssh` makes a session to be shared, and shares none.
            shared=self.one("controlpath") if self.one("controlmaster") in _SHARES else None,
            tokens=self.tokens,
            not_done=not_done(self._values, _own()._values),
        )

    def _expanded(self, value: str, keyword: str) -> str:
        return tokens.expand(value, self.tokens, keyword, variables=False)

    def _keys(self) -> Keys:
        enabled = {
            "publickey": self._yes("pubkeyauthentication"),
            "keyboard-interactive": self._yes("kbdinteractiveauthentication"),
            "password": self._yes("passwordauthentication"),
        }
        preferred = self._list("preferredauthentications") or METHODS
        return Keys(
            files=self._paths("identityfile"),
            certificates=self._paths("certificatefile"),
            only=self._yes("identitiesonly"),
            agent=tokens.agent(self._values["identityagent"][0] if self._values["identityagent"] else None),
            methods=tuple(method for method in preferred if enabled.get(method)),
            batch=self._yes("batchmode"),
            prompts=self._number("numberofpasswordprompts", 3),
            accepted=self._list("pubkeyacceptedalgorithms") or self._list("pubkeyacceptedkeytypes"),
            rsa_size=self._number("requiredrsasize", 0),
        )

    def _trust(self) -> Trust:
        revoked = self._paths("revokedhostkeys")
        return Trust(
            alias=self.one("hostkeyalias"),
            user_files=self._file_list("userknownhostsfile"),
            global_files=self._file_list("globalknownhostsfile"),
            command=self.one("knownhostscommand"),
            revoked=revoked[0] if revoked else None,
            accept_new=self.one("stricthostkeychecking") == "accept-new",
            hashed=self._yes("hashknownhosts"),
            algorithms=self._list("hostkeyalgorithms"),
            chosen=self._ordered("hostkeyalgorithms"),
            authorities=self._list("casignaturealgorithms"),
            rsa_size=self._number("requiredrsasize", 0),
        )

    def _yes(self, keyword: str) -> bool:
        # ssh has both words for different keywords.
        return self.one(keyword) in ("yes", "true", "unbound", "host-bound")

    def _number(self, keyword: str, otherwise: int) -> int:
        value = self.one(keyword) or ""
        return int(value) if value.isdigit() else otherwise

    def _list(self, keyword: str) -> tuple[str, ...]:
        return tuple(part for part in (self.one(keyword) or "").split(",") if part)

    def _chosen(self, keyword: str) -> tuple[str, ...]:
        """A list of algorithms, where ssh_config has set it."""
        return self._list(keyword) if self.one(keyword) != _own().one(keyword) else ()

    def _ordered(self, keyword: str) -> bool:
        """Whether ssh_config has set an order: `+` adds at the end and `-` takes away, and both leave ssh's own order."""
        mine, own = self._list(keyword), _own()._list(keyword)
        return mine[: len(own)] != own and mine != tuple(name for name in own if name in mine)

    def _paths(self, keyword: str) -> tuple[Path, ...]:
        return tuple(
            tokens.path(tokens.expand(value.strip('"'), self.tokens, keyword))
            for value in self._values[keyword]
            if value not in ("none", "")
        )

    def _file_list(self, keyword: str) -> tuple[Path, ...]:
        """Several paths on one line. `ssh -G` puts blanks between them, and writes one that has blanks without quotes."""
        words = (self.one(keyword) or "").split(" ")
        found: list[Path] = []
        while words:
            # The longest that exists. One that does not, such as a file that is still to be made, ends where the next one begins.
            lengths = [
                n for n in range(len(words), 0, -1) if n == len(words) or words[n].startswith(("/", "~"))
            ]
            wholes = {n: " ".join(words[:n]) for n in lengths}
            length = next((n for n in lengths if tokens.path(wholes[n]).is_file()), lengths[-1])
            if wholes[length]:
                found.append(tokens.path(wholes[length]))
            words = words[length:]
        return tuple(found)
