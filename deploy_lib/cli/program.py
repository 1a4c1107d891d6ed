"""What the command lines of Invoke and Fabric lack: a suggestion for a misspelt task or flag, the reason for one that deploy.toml
does not give because of a mistake in it, and `-H` given twice.

Neither has a hook for that, but both keep their program as an object whose methods are there to be replaced; a process that
is no such program, such as a test that imports the tasks, is left alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from invoke.exceptions import ParseError
from invoke.program import Program

from deploy_lib.cli.outline import DEPLOYING, REPLICAS
from deploy_lib.errors import UsageError
from deploy_lib.names import did_you_mean

_UNKNOWN = re.compile(r"No idea what '(.+)' is!")
_HOSTS = ("-H", "--hosts")
_JOINED = re.compile(r"-H[^=].*", re.DOTALL)
"""`-H` and its value in one word."""

_USELESS = {
    "prompt-for-login-password": "leave it out; a password is asked for where a host wants one",
    "prompt-for-passphrase": "leave it out; a passphrase is asked for where a key has one",
    "prompt-for-sudo-password": "leave it out; `become` of a node in deploy.toml needs a sudo that asks nothing",
    "connect-timeout": "ConnectTimeout of ssh_config sets it",
}
"""Flags of Fabric, and what to do instead."""


def suggest(root: Path) -> None:
    """Adds a suggestion to the running program's error about an unknown task or flag; its exit status stays.

    For one that deploy.toml would give if it were right, that file's own error is told instead, with its exit status.

    Args:
        root: the folder of deploy.toml.
    """
    for program in _running():
        if "parse_tasks" in vars(program):
            continue  # a second collection of the same process
        program.parse_tasks = _suggesting(program, program.parse_tasks, root)  # type: ignore[method-assign]
        program.parse_cleanup = _suggesting(program, program.parse_cleanup, root)  # type: ignore[method-assign]


def accept_repeated_hosts() -> None:
    """Makes `fab -H A -H B` mean `fab -H A,B`; Fabric takes B for the name of a task."""
    for program in _running():
        joined = join_hosts(program.argv)
        if joined != program.argv:
            program.parse_core(joined)


def refuse_useless_flags() -> None:
    """Ends `fab -S FILE` where `ssh` could not read that file, and a flag of Fabric's own connections, which strict ones do not read.

    Fabric's own error would be an unforeseen one, and it would ask for a password that is used nowhere.

    Raises:
        Exit: with the status of a bad argument.
    """
    for program in _running():
        args = program.args
        for name, hint in _USELESS.items():
            if name in args and args[name].value:
                _refuse(program, UsageError(f"--{name} means nothing to a verified connection", hint=hint))
        if "ssh-config" in args and (file := args["ssh-config"].value):
            from deploy_lib.ssh.resolve import require_config

            try:
                require_config(Path(file))
            except UsageError as error:
                _refuse(program, error)


def join_hosts(argv: Sequence[str]) -> list[str]:
    """A command line with all its hosts behind the first `-H`."""
    end = argv.index("--") if "--" in argv else len(argv)
    words, rest = list(argv[:end]), list(argv[end:])
    hosts: list[str] = []
    others: list[str] = []
    place = 0
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        if _JOINED.fullmatch(word):
            flag, equals, value = "-H", "=", word[2:]
        if flag not in _HOSTS or not (equals or words):
            others.append(word)
            continue
        place = place if hosts else len(others)
        hosts.append(value if equals else words.pop(0))
    if len(hosts) < 2:
        return list(argv)
    return [*others[:place], "-H", ",".join(hosts), *others[place:], *rest]


def _running() -> Iterator[Program]:
    """The program whose command line this is."""
    for name in ("invoke.main", "fabric.main"):
        program = getattr(sys.modules.get(name), "program", None)
        if isinstance(program, Program) and program.argv:
            yield program


def _refuse(program: Program, error: UsageError) -> NoReturn:
    """Ends the program before its first command begins."""
    from deploy_lib.cli.invocation import refuse

    words = [*program.core.unparsed, ""]
    refuse(error, words[0], as_json="--json" in words)


def _suggesting(program: Program, method: Callable[[], None], root: Path) -> Callable[[], None]:
    def suggesting() -> None:
        try:
            method()
        except ParseError as error:
            _require_file(program, root, error)
            raise ParseError(f"{error}{_suggestion(program, error)}", error.context) from None

    return suggesting


def _require_file(program: Program, root: Path, error: ParseError) -> None:
    """Ends the program where deploy.toml is why a name is unknown: a badly named stack or kind of replicas has no task or flag."""
    found = _UNKNOWN.search(str(error))
    if found is None or not (DEPLOYING.match(found[1]) or found[1].startswith(REPLICAS)):
        return
    from deploy_lib.config.reading import read

    try:
        read(root)
    except UsageError as problem:
        _refuse(program, problem)


def _suggestion(program: Program, error: ParseError) -> str:
    found = _UNKNOWN.search(str(error))
    if found is None:
        return ""
    flags = [*program.initial_context.flags, *(error.context.flags if error.context else ())]
    known = flags if found[1].startswith("-") else list(program.parser.contexts)
    question = did_you_mean(found[1], known)
    return f" {question[0].upper()}{question[1:]}" if question else ""
