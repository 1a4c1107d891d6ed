"""Combinations of ssh_config, known_hosts, agent, server and login shell, made from lists of values.

Each value is a function that adds to a `Case`. OpenSSH's own client is the judge of each combination.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pwd
import random
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy_lib.errors import DeployError
from deploy_lib.ssh.connection import connect_to
from deploy_lib.ssh.session import Session
from deploy_lib.ssh.shared import SharedSession
from deploy_lib.ssh.trust import presented

NAME = "throwaway.internal"

KINDS = (
    "usual",
    "certified",
    "expired",
    "early",
    "other-name",
    "any-name",
    "wild-name",
    "for-users",
    "few-tries",
    "greeting",
    "noisy",
    "nologin",
)
"""The servers."""


@dataclass(frozen=True)
class World:
    """What all cases share.

    Attributes:
        keys: a directory with key pairs: `id` may log in, `enc` too and has a passphrase, `other` may not, `ca` signs.
        ports: by kind of server.
        agents: sockets by what they hold: "right", "enc", "wrong", "many", "certificate".
        master: the ControlPath of a session with the "usual" server.
    """

    keys: Path
    ports: Mapping[str, int]
    agents: Mapping[str, str]
    master: str = ""

    def public(self, name: str) -> str:
        """A public key, as known_hosts has it."""
        return " ".join((self.keys / f"{name}.pub").read_text().split()[:2])


@dataclass
class Case:
    """One combination."""

    world: World
    directory: Path
    server: str = "usual"
    destination: str = NAME
    lines: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    hashed: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.world.ports[self.server]

    @property
    def config(self) -> Path:
        return self.directory / "ssh_config"

    def key(self, name: str) -> str:
        return str(self.world.keys / name)

    def at(self) -> str:
        return f"[127.0.0.1]:{self.port}"


Value = Callable[[Case], None]


# --- keys and agents ----------------------------------------------------------------------------------------


def key_file(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('id')}", "IdentitiesOnly yes"]


def public_half_and_agent(case: Case) -> None:
    case.lines += [
        f"IdentityFile {case.key('public_only.pub')}",
        "IdentitiesOnly yes",
        f"IdentityAgent {case.world.agents['many']}",
    ]


def encrypted_file_and_agent(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('enc')}", "IdentitiesOnly yes"]
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["enc"]


def encrypted_file_alone(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('enc')}"]


def encrypted_then_clear(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('enc')}", f"IdentityFile {case.key('id')}"]


def agent_alone(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["right"]
    case.lines += ["IdentityFile none"]


def agent_with_another_key(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["wrong"]
    case.lines += ["IdentityFile none"]


def only_without_files(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["right"]
    case.lines += ["IdentityFile none", "IdentitiesOnly yes"]


def many_keys_in_the_agent(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["many"]
    case.lines += ["IdentityFile none"]


def many_keys_and_the_right_one_named(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["many"]
    case.lines += [f"IdentityFile {case.key('id')}"]


def agent_none(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["right"]
    case.lines += ["IdentityAgent none", "IdentityFile none"]


def agent_of_the_environment(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["right"]
    case.lines += ["IdentityAgent SSH_AUTH_SOCK", "IdentityFile none"]


def agent_of_a_variable(case: Case) -> None:
    case.environment["OTHER_SOCK"] = case.world.agents["right"]
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["wrong"]
    case.lines += ["IdentityAgent $OTHER_SOCK", "IdentityFile none"]


def agent_of_a_braced_variable(case: Case) -> None:
    case.environment["OTHER_SOCK"] = case.world.agents["right"]
    case.lines += ["IdentityAgent ${OTHER_SOCK}", "IdentityFile none"]


def agent_that_is_gone(case: Case) -> None:
    case.lines += ["IdentityAgent /nowhere/agent", f"IdentityFile {case.key('id')}"]


def tokens_in_the_path(case: Case) -> None:
    made = case.directory / f"{NAME}_127.0.0.1_{case.port}_root_100%"
    os.link(case.key("id"), made)
    case.lines += [f"IdentityFile {case.directory}/%n_%h_%p_%r_100%%"]


def more_tokens_in_the_path(case: Case) -> None:
    user, host = pwd.getpwuid(os.getuid()).pw_name, os.uname().nodename
    made = case.directory / f"{os.getuid()}_{user}_{host.partition('.')[0]}_{NAME}"
    os.link(case.key("id"), made)
    case.lines += [f"IdentityFile {case.directory}/%i_%u_%L_%k"]


def digest_in_the_path(case: Case) -> None:
    text = "".join([os.uname().nodename, "127.0.0.1", str(case.port), "root"])
    os.link(case.key("id"), case.directory / hashlib.sha1(text.encode()).hexdigest())  # noqa: S324
    case.lines += [f"IdentityFile {case.directory}/%C"]


def variable_in_the_path(case: Case) -> None:
    case.environment["KEYS"] = str(case.world.keys)
    case.lines += ["IdentityFile ${KEYS}/id"]


def variable_that_is_not_set(case: Case) -> None:
    case.lines += ["IdentityFile ${NO_SUCH_VARIABLE}/id", f"IdentityFile {case.key('id')}"]


def missing_file_first(case: Case) -> None:
    case.lines += ["IdentityFile /nowhere/key", f"IdentityFile {case.key('id')}"]


def wrong_key_first(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('other')}", f"IdentityFile {case.key('id')}"]


def wrong_key_alone(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('other')}", "IdentitiesOnly yes"]


def open_to_all(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('open')}", "IdentitiesOnly yes"]


def certificate_file(case: Case) -> None:
    case.lines += [f"CertificateFile {case.key('%r_%n.pub')}", f"IdentityFile {case.key('signed')}"]


def certificate_beside_its_key(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('beside')}"]


def certificate_file_and_agent(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["signed"]
    case.lines += [f"CertificateFile {case.key('root_' + NAME + '.pub')}", "IdentityFile none"]


def certificate_in_the_agent(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["certificate"]
    case.lines += ["IdentityFile none"]


def rsa_key(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('rsa')}"]


def rsa_key_in_the_agent(case: Case) -> None:
    case.environment["SSH_AUTH_SOCK"] = case.world.agents["rsa"]
    case.lines += ["IdentityFile none", "PubkeyAcceptedAlgorithms rsa-sha2-256"]


def algorithm_not_accepted(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('id')}", "PubkeyAcceptedAlgorithms rsa-sha2-512"]


def no_public_keys(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('id')}", "PubkeyAuthentication no"]


def other_methods_preferred(case: Case) -> None:
    case.lines += [
        f"IdentityFile {case.key('id')}",
        "PreferredAuthentications keyboard-interactive,publickey",
    ]


def other_methods_alone(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('id')}", "PreferredAuthentications password"]


def another_user(case: Case) -> None:
    case.lines[:0] = ["User no-such-user"]
    case.lines += [f"IdentityFile {case.key('id')}"]


KEYS: list[Value] = [
    key_file, public_half_and_agent, encrypted_file_and_agent, encrypted_file_alone, encrypted_then_clear, agent_alone,
    agent_with_another_key, only_without_files, many_keys_in_the_agent, many_keys_and_the_right_one_named, agent_none,
    agent_of_the_environment, agent_of_a_variable, agent_of_a_braced_variable, agent_that_is_gone, tokens_in_the_path,
    more_tokens_in_the_path, digest_in_the_path, variable_in_the_path, variable_that_is_not_set, missing_file_first, wrong_key_first, wrong_key_alone,
    open_to_all, certificate_file, certificate_beside_its_key, certificate_file_and_agent, certificate_in_the_agent, rsa_key,
    rsa_key_in_the_agent, algorithm_not_accepted, no_public_keys, other_methods_preferred, other_methods_alone, another_user,
]  # fmt: skip


# --- known_hosts --------------------------------------------------------------------------------------------


def known(case: Case) -> None:
    case.known += [f"{case.at()} {case.world.public('host')}"]


def hashed(case: Case) -> None:
    known(case)
    case.hashed = True


def wildcard(case: Case) -> None:
    case.known += [f"[127.0.0.*]:* {case.world.public('host')}"]


def negated(case: Case) -> None:
    case.known += [f"[127.0.0.*]:*,!{case.at()} {case.world.public('host')}"]


def without_the_port(case: Case) -> None:
    case.known += [f"127.0.0.1 {case.world.public('host')}"]


def changed(case: Case) -> None:
    case.known += [f"{case.at()} {case.world.public('other')}"]


def unknown(case: Case) -> None:
    case.known += [f"example.org {case.world.public('host')}"]


def revoked(case: Case) -> None:
    known(case)
    case.known += [f"@revoked * {case.world.public('host')}"]


def revoked_in_a_file(case: Case) -> None:
    known(case)
    case.lines += [f"RevokedHostKeys {case.key('revoked')}"]


def revoked_in_a_list(case: Case) -> None:
    known(case)
    case.lines += [f"RevokedHostKeys {case.key('host')}.pub"]


def another_revoked_in_a_list(case: Case) -> None:
    known(case)
    case.lines += [f"RevokedHostKeys {case.key('other')}.pub"]


def authority_revoked_in_a_list(case: Case) -> None:
    authority(case)
    case.lines += [f"RevokedHostKeys {case.key('ca')}.pub"]


def key_in_a_list_that_is_torn(case: Case) -> None:
    known(case)
    listed = case.directory / "torn"
    listed.write_text(f"{case.world.public('other')}\nssh-ed25519 AAAA\n")
    case.lines += [f"RevokedHostKeys {listed}"]


def nothing_revoked(case: Case) -> None:
    known(case)
    case.lines += [f"RevokedHostKeys {case.key('revoked_other')}"]


def revoked_file_is_gone(case: Case) -> None:
    known(case)
    case.lines += ["RevokedHostKeys /nowhere/revoked"]


def authority(case: Case) -> None:
    case.known += [f"@cert-authority {case.at()},*.internal {case.world.public('ca')}"]


def authority_for_all(case: Case) -> None:
    case.known += [f"@cert-authority * {case.world.public('ca')}"]


def another_authority(case: Case) -> None:
    case.known += [f"@cert-authority * {case.world.public('other')}"]


def authority_of_another_host(case: Case) -> None:
    case.known += [f"@cert-authority *.example.org {case.world.public('ca')}"]


def authority_revoked(case: Case) -> None:
    case.known += [f"@cert-authority * {case.world.public('ca')}", f"@revoked * {case.world.public('ca')}"]


def authority_and_plain(case: Case) -> None:
    authority_for_all(case)
    known(case)


def authority_and_another_key(case: Case) -> None:
    authority_for_all(case)
    changed(case)


def authority_and_alias(case: Case) -> None:
    case.known += [f"@cert-authority wild.name.internal {case.world.public('ca')}"]
    case.lines += ["HostKeyAlias wild.name.internal"]


def alias(case: Case) -> None:
    case.known += [f"Real-Name {case.world.public('host')}"]
    case.lines += ["HostKeyAlias real-name"]


def alias_unknown(case: Case) -> None:
    known(case)
    case.lines += ["HostKeyAlias real-name"]


def second_file(case: Case) -> None:
    (case.directory / "second file").write_text(f"{case.at()} {case.world.public('host')}\n")
    case.lines += [
        f'UserKnownHostsFile /nowhere/x {case.directory}/known_hosts "{case.directory}/second file"'
    ]


def global_file(case: Case) -> None:
    (case.directory / "global").write_text(f"{case.at()} {case.world.public('host')}\n")
    case.lines += [f"GlobalKnownHostsFile {case.directory}/global"]


def file_with_tokens(case: Case) -> None:
    (case.directory / f"of_{NAME}").write_text(f"{case.at()} {case.world.public('host')}\n")
    case.lines += [f"UserKnownHostsFile {case.directory}/of_%n"]


def said_by_a_command(case: Case) -> None:
    line = case.directory / "said"
    line.write_text(f"{case.at()} {case.world.public('host')}\n")
    case.lines += [f"KnownHostsCommand /bin/sed -e s/x/x/ {case.directory}/said"]


def command_with_tokens(case: Case) -> None:
    case.lines += ["KnownHostsCommand /bin/echo %H %t %K"]


def command_that_fails(case: Case) -> None:
    known(case)
    case.lines += ["KnownHostsCommand /bin/false"]


def other_type_known(case: Case) -> None:
    case.known += [f"{case.at()} {case.world.public('host_rsa')}"]


def other_type_asked_for(case: Case) -> None:
    known(case)
    case.lines += ["HostKeyAlgorithms rsa-sha2-512"]


def types_in_an_order_of_ones_own(case: Case) -> None:
    known(case)
    case.lines += ["HostKeyAlgorithms rsa-sha2-512,ssh-ed25519"]


def types_without_the_known_one(case: Case) -> None:
    known(case)
    case.lines += ["HostKeyAlgorithms -ssh-ed25519"]


def fewer_types(case: Case) -> None:
    other_type_known(case)
    case.lines += ["HostKeyAlgorithms -ecdsa-sha2-nistp256"]


def changed_with_another_type_known(case: Case) -> None:
    changed(case)
    other_type_known(case)


def broken_lines(case: Case) -> None:
    case.known += ["", "# x", f"{case.at()} ssh-ed25519 !!!", "@strange x y z", f"{case.at()}"]
    known(case)


KNOWN: list[Value] = [
    known, hashed, wildcard, negated, without_the_port, changed, unknown, revoked, revoked_in_a_file, nothing_revoked,
    revoked_file_is_gone, alias, alias_unknown, second_file, global_file, file_with_tokens, said_by_a_command,
    command_with_tokens, command_that_fails, other_type_known, other_type_asked_for, types_in_an_order_of_ones_own, types_without_the_known_one, fewer_types,
    changed_with_another_type_known, broken_lines,
]  # fmt: skip

AUTHORITIES: list[Value] = [
    authority, authority_for_all, another_authority, authority_of_another_host, authority_revoked, authority_and_plain,
    authority_and_another_key, authority_and_alias,
]  # fmt: skip

LISTS: list[Value] = [
    revoked_in_a_list, another_revoked_in_a_list, authority_revoked_in_a_list, key_in_a_list_that_is_torn,
]  # fmt: skip
"""RevokedHostKeys as a plain list; not among those that are drawn, so that the others stay the same ones."""


# --- ways ---------------------------------------------------------------------------------------------------


def direct(case: Case) -> None:
    pass


def jump(case: Case) -> None:
    case.lines += ["ProxyJump bastion"]
    case.rest += _bastion(case, "bastion")


def jumps(case: Case) -> None:
    case.lines += ["ProxyJump bastion,second"]
    case.rest += [*_bastion(case, "bastion"), *_bastion(case, "second"), "ProxyJump nowhere.invalid"]


def jump_behind_a_jump(case: Case) -> None:
    case.lines += ["ProxyJump second"]
    case.rest += [*_bastion(case, "bastion"), *_bastion(case, "second"), "ProxyJump bastion"]


def jump_that_is_not_known(case: Case) -> None:
    case.lines += ["ProxyJump bastion"]
    case.rest += [*_bastion(case, "bastion"), "HostKeyAlias somebody-else"]


def jump_with_user_and_port(case: Case) -> None:
    case.lines += [f"ProxyJump root@127.0.0.1:{case.world.ports['usual']}"]
    case.rest += ["Host 127.0.0.1", *_common(case), f"IdentityFile {case.key('id')}"]


def jumps_with_tokens(case: Case) -> None:
    case.lines += ["ProxyJump %r@by-%n,root@100%%"]
    case.rest += [*_bastion(case, "by-*"), *_bastion(case, "100%")]


def _bastion(case: Case, name: str) -> list[str]:
    return [
        f"Host {name}", "HostName 127.0.0.1", f"Port {case.world.ports['usual']}", "User root", *_common(case),
        f"IdentityFile {case.key('id')}",
    ]  # fmt: skip


def _common(case: Case) -> list[str]:
    jumps_known = case.directory / "known_hosts_of_jumps"
    jumps_known.write_text(f"[127.0.0.1]:{case.world.ports['usual']} {case.world.public('host')}\n")
    return [f"UserKnownHostsFile {jumps_known}", "GlobalKnownHostsFile /dev/null"]


def command(case: Case) -> None:
    case.lines += [f"ProxyCommand {_relay(case)} %h %p"]


def command_with_a_shells_words(case: Case) -> None:
    case.environment["RELAY"] = _relay(case)
    case.lines += [
        'ProxyCommand sh -c \'test "$1" = "100%%" && test "$2" = "%n" && test "$3" = %r && exec $RELAY %h %p\' - "100%%" %n %r && true'
    ]


def command_that_ends(case: Case) -> None:
    case.lines += ["ProxyCommand false"]


def command_that_passes_its_socket(case: Case) -> None:
    script = case.directory / "pass.py"
    script.write_text(
        "import socket, sys\n"
        "made = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "socket.send_fds(socket.socket(fileno=1), [b'x'], [made.fileno()])\n"
    )
    case.lines += [f"ProxyCommand {sys.executable} {script} %h %p", "ProxyUseFdpass yes"]


def _relay(case: Case) -> str:
    config = case.directory / "relay_config"
    config.write_text("\n".join(_bastion(case, "relay")) + "\n")
    script = case.directory / "relay"
    script.write_text(f'exec ssh -F {config} -W "$1:$2" relay\n')
    return f"sh {shlex.quote(str(script))}"


def included(case: Case) -> None:
    extra = case.directory / "extra"
    extra.write_text(f"Host {NAME}\nPort {case.port}\n")
    case.lines = [line for line in case.lines if not line.startswith("Port ")]
    case.rest += ["Host *", f"Include {extra}"]


def matched(case: Case) -> None:
    case.lines = [line for line in case.lines if not line.startswith("Port ")]
    case.rest += [f'Match originalhost {NAME} exec "test 1 = 1"', f"Port {case.port}"]


def canonical(case: Case) -> None:
    case.destination = "localhost."
    case.lines.clear()
    case.rest += [
        "Host localhost.", "CanonicalizeHostname yes", "Match canonical", "HostName 127.0.0.1", f"Port {case.port}", "User root",
        f"IdentityFile {case.key('id')}", f"UserKnownHostsFile {case.directory}/known_hosts",
    ]  # fmt: skip


def user_in_the_destination(case: Case) -> None:
    case.lines = ["User nobody", *[line for line in case.lines if line != "User root"]]
    case.destination = f"root@{NAME}"


def family_without_the_address(case: Case) -> None:
    case.lines += ["AddressFamily inet6"]


def another_address_to_come_from(case: Case) -> None:
    case.lines += ["BindAddress 127.0.0.9"]


def name_that_does_not_resolve(case: Case) -> None:
    case.lines[:0] = ["HostName no-such-host.invalid"]


def port_that_is_closed(case: Case) -> None:
    case.lines[:0] = ["Port 1"]


def cipher_of_ones_own(case: Case) -> None:
    case.lines += ["Ciphers aes256-ctr", "MACs hmac-sha2-512", "KexAlgorithms ecdh-sha2-nistp256"]


WAYS: list[Value] = [
    direct, jump, jumps, jump_behind_a_jump, jump_that_is_not_known, jump_with_user_and_port,
    jumps_with_tokens, command,
    command_with_a_shells_words, command_that_ends, command_that_passes_its_socket, included, matched, canonical, user_in_the_destination,
    family_without_the_address, another_address_to_come_from, name_that_does_not_resolve, port_that_is_closed, cipher_of_ones_own,
]  # fmt: skip


# --- names --------------------------------------------------------------------------------------------------


def odd_alias(case: Case) -> None:
    case.destination = "prod/web+1_x=y"
    case.rest += [f"Host {case.destination}", *case.lines, f"UserKnownHostsFile {case.directory}/known_hosts"]


def alias_in_capitals(case: Case) -> None:
    case.destination = "Web.EXAMPLE"
    case.rest += ["Host Web.EXAMPLE", *case.lines, f"UserKnownHostsFile {case.directory}/known_hosts"]


def alias_by_pattern(case: Case) -> None:
    case.destination = "web7.prod"
    case.rest += [
        "Host !web7.prod web?.prod", "Port 1", "Host !web8.prod web?.prod", *case.lines,
        f"UserKnownHostsFile {case.directory}/known_hosts",
    ]  # fmt: skip


def destination_with_user_and_port(case: Case) -> None:
    case.lines = [
        "Port 1", "User nobody", *[line for line in case.lines if not line.startswith(("Port ", "User "))]
    ]  # fmt: skip
    case.destination = f"ssh://root@{NAME}:{case.port}"


def address_without_an_alias(case: Case) -> None:
    case.destination = f"ssh://root@127.0.0.1:{case.port}"
    case.rest += ["Host 127.*", *case.lines, f"UserKnownHostsFile {case.directory}/known_hosts"]


def matches_of_all_kinds(case: Case) -> None:
    case.lines = [line for line in case.lines if not line.startswith(("Port ", "User "))]
    case.rest += [
        f"Match host 127.0.0.1 localuser {pwd.getpwuid(os.getuid()).pw_name}", f"Port {case.port}", "Match final all", "User root"
    ]  # fmt: skip


def includes_by_pattern(case: Case) -> None:
    more = case.directory / "conf.d"
    more.mkdir()
    (more / "10-port").write_text(f"Port = {case.port}\n")
    (more / "20-user").write_text('User "root"\n')
    case.lines = [f"Include {more}/*", *[x for x in case.lines if not x.startswith(("Port ", "User "))]]


def options_of_another_program(case: Case) -> None:
    case.lines[:0] = ["IgnoreUnknown Use*,Add*", "UseKeychain yes", "AddKeysToAgent yes"]


def option_that_does_not_exist(case: Case) -> None:
    case.lines[:0] = ["UseKeychain yes"]


def blanks_in_paths(case: Case) -> None:
    place = case.directory / "my keys"
    place.mkdir()
    for line in [line for line in case.lines if line.startswith("IdentityFile ")]:
        name = Path(line.split()[1]).name
        os.link(line.split()[1], place / name)
        case.lines[case.lines.index(line)] = f'IdentityFile "{place}/{name}"'


NAMES: list[Value] = [
    odd_alias, alias_in_capitals, alias_by_pattern, destination_with_user_and_port, address_without_an_alias, matches_of_all_kinds,
    includes_by_pattern, options_of_another_program, option_that_does_not_exist, blanks_in_paths,
]  # fmt: skip
"""How a host is named, and how ssh_config is written; not among those that are drawn."""


# --- limits -------------------------------------------------------------------------------------------------


def rsa_key_that_is_long_enough(case: Case) -> None:
    rsa_key(case)
    case.lines += ["RequiredRSASize 2048"]


def rsa_key_that_is_too_short(case: Case) -> None:
    case.lines += [f"IdentityFile {case.key('rsa')}", "RequiredRSASize 3072"]


def rsa_key_in_the_agent_that_is_too_short(case: Case) -> None:
    rsa_key_in_the_agent(case)
    case.lines += ["RequiredRSASize 3072"]


def host_key_that_is_too_short(case: Case) -> None:
    key_file(case)
    case.lines += ["HostKeyAlgorithms rsa-sha2-512", "RequiredRSASize 3072"]
    case.known += [f"{case.at()} {case.world.public('host_rsa')}"]


def interface_to_come_from(case: Case) -> None:
    key_file(case)
    case.lines += [f"BindInterface {next(n for _, n in socket.if_nameindex() if n.startswith('lo'))}"]


def interface_that_does_not_exist(case: Case) -> None:
    key_file(case)
    case.lines += ["BindInterface nosuch0"]


LIMITS: list[Value] = [
    rsa_key_that_is_long_enough, rsa_key_that_is_too_short, rsa_key_in_the_agent_that_is_too_short, host_key_that_is_too_short,
    interface_to_come_from, interface_that_does_not_exist,
]  # fmt: skip
"""Not among those that are drawn."""


# --- sessions that are open already -------------------------------------------------------------------------


def session_that_is_open(case: Case) -> None:
    case.lines += [f"ControlPath {case.world.master}"]


def session_with_tokens_in_its_path(case: Case) -> None:
    os.link(case.world.master, case.directory / f"{NAME}-{case.port}-root")
    case.lines += [f"ControlPath {case.directory}/%n-%p-%r"]


def session_that_may_become_one(case: Case) -> None:
    session_that_is_open(case)
    case.lines += ["ControlMaster auto"]


def session_of_ones_own_wanted(case: Case) -> None:
    session_that_is_open(case)
    case.lines += ["ControlMaster yes"]


def session_that_has_ended(case: Case) -> None:
    path = case.directory / "ended"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    case.lines += [f"ControlPath {path}"]


def session_of_the_jump_host(case: Case) -> None:
    case.lines += ["ProxyJump bastion"]
    case.rest += [line.replace(case.key("id"), case.key("other")) for line in _bastion(case, "bastion")] + [
        f"ControlPath {case.world.master}"
    ]


def session_to_a_host_that_is_out_of_reach(case: Case) -> None:
    port_that_is_closed(case)
    session_that_is_open(case)


SESSIONS: list[Value] = [
    session_that_is_open, session_with_tokens_in_its_path, session_that_may_become_one, session_of_ones_own_wanted,
    session_that_has_ended, session_to_a_host_that_is_out_of_reach,
]  # fmt: skip
"""With a key that the server refuses: nothing but the session could log in. Not among those that are drawn."""


# --- combinations -------------------------------------------------------------------------------------------

Plan = tuple[Value, Value, Value, str]
CERTIFIED = KINDS[1:8]


def plans() -> list[Plan]:
    """Each value with the usual others, and each authority with each certificate."""
    made: list[Plan] = [(key, known, direct, "usual") for key in KEYS]
    made += [(key_file, each, direct, "usual") for each in KNOWN]
    made += [(key_file, authority_for_all, direct, kind) for kind in CERTIFIED]
    made += [(key_file, each, direct, "certified") for each in (*AUTHORITIES, known, unknown)]
    made += [(key_file, each, direct, kind) for each in LISTS for kind in ("usual", "certified")]
    made += [(key_file, authority_and_alias, direct, "wild-name")]
    made += [(key_file, known, way, "usual") for way in WAYS]
    made += [
        (each, known, direct, "few-tries")
        for each in (many_keys_in_the_agent, many_keys_and_the_right_one_named)
    ]
    made += [(key_file, known, direct, kind) for kind in KINDS[9:]]
    made += [
        (public_half_and_agent, authority, jumps, "certified"),
        (certificate_file, authority, command, "certified"),
    ]
    made += [(key_file, known, name, "usual") for name in NAMES]
    made += [(limit, known, direct, "usual") for limit in LIMITS]
    made += [(wrong_key_alone, known, session, "usual") for session in SESSIONS]
    made += [
        (key_file, known, session, "usual") for session in (session_of_the_jump_host, session_that_has_ended)
    ]
    return list(dict.fromkeys(made))


def drawn(count: int) -> list[Plan]:
    """Combinations of all values by lot, the same every time."""
    lot = random.Random(181)  # noqa: S311 - nothing is secret here
    return lot.sample(list(itertools.product(KEYS, [*KNOWN, *AUTHORITIES], WAYS, KINDS)), count)


def title(plan: Plan) -> str:
    return f"{plan[0].__name__}, {plan[1].__name__}, {plan[2].__name__}, {plan[3]}"


def write(world: World, plan: Plan, directory: Path) -> Case:
    """The files of a combination."""
    key, trust, way, server = plan
    case = Case(world, directory, server)
    case.lines = ["HostName 127.0.0.1", f"Port {case.port}", "User root"]
    key(case)
    trust(case)
    way(case)
    text = case.directory / "known_hosts"
    text.write_text("".join(f"{line}\n" for line in case.known))
    if case.hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(text)], check=True, capture_output=True)
    lines = [
        f"Host {NAME}",
        *case.lines,
        f"UserKnownHostsFile {text}",
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        *case.rest,
    ]
    case.config.write_text("\n".join(lines) + "\n")
    return case


@dataclass(frozen=True)
class Verdict:
    """How a combination ended.

    Attributes:
        inside: who it is on the host; "" where nothing let it in.
        key: the host's key.
    """

    inside: str
    key: str = ""


_KEY = re.compile(r"Server host (?:key|certificate): (\S+) (SHA256:[^\s,]+)")
_SCRIPT = "echo in:$(id -un)"


def by_ssh(case: Case) -> tuple[Verdict, str]:
    """The judge's verdict, and what it printed."""
    done = subprocess.run(
        ["ssh", "-v", "-F", str(case.config), "-o", "BatchMode=yes", case.destination, _SCRIPT],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    seen = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("debug1"))
    inside = re.findall(r"in:(\w+)", done.stdout)
    if done.returncode or not inside:
        return Verdict(""), seen
    # Through a session that was open already none is presented.
    *_, found = ("", ""), *_KEY.findall(done.stderr)
    return Verdict(inside[0], found[1]), seen


def by_session(case: Case) -> tuple[Verdict, str]:
    """This program's verdict, and what it says."""
    try:
        session = Session("core", connect_to(case.destination, case.config))
    except DeployError as error:
        return Verdict(""), str(error)
    try:
        inside = session.run(_SCRIPT).stdout.strip().removeprefix("in:")
        transport = session.connection.transport
        if isinstance(transport, SharedSession):
            return Verdict(inside), ""
        return Verdict(inside, presented(transport.get_remote_server_key()).shown.split()[1]), ""
    except DeployError as error:
        return Verdict(""), str(error)
    finally:
        session.close()


def compare(job: tuple[World, Plan, str]) -> tuple[str, Verdict, Verdict, str]:
    """Both verdicts on one combination; run in a process of its own, whose environment is the combination's."""
    world, plan, directory = job
    case = write(world, plan, Path(directory))
    before = dict(os.environ)
    os.environ.pop("SSH_AUTH_SOCK", None)
    os.environ.update(case.environment)
    try:
        judge, seen = by_ssh(case)
        own, said = by_session(case)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return title(plan), judge, own, said or seen


def servers(keys: Path) -> Iterator[tuple[str, list[str]]]:
    """By kind, the further lines of its sshd_config."""
    usual = [f"HostKey {keys}/host", f"HostKey {keys}/host_rsa", f"TrustedUserCAKeys {keys}/ca.pub"]
    for kind in KINDS:
        own = [f"HostCertificate {keys}/{kind}-cert.pub"] if kind in CERTIFIED else []
        own += ["MaxAuthTries 3"] if kind == "few-tries" else []
        shell = keys / f"{kind}.shell"
        own += [f"ForceCommand bash {shell}"] if shell.exists() else []
        yield kind, [*usual, *own]
