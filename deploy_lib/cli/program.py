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

from invoke.exceptions import ParseError
from invoke.program import Program

from deploy_lib.names import did_you_mean

_UNKNOWN = re.compile(r"No idea what '(.+)' is!")
_HOSTS = ("-H", "--hosts")

_NAMED_IN_FILE = ("deploy-", "--replicas-")
"""How the tasks and flags begin that deploy.toml gives."""


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


def require_ssh_config() -> None:
    """Ends `fab -S FILE` where there is no such file: Fabric's own error would be an unforeseen one.

    Raises:
        Exit: with the status of a bad argument.
    """
    from deploy_lib.cli.invocation import refuse
    from deploy_lib.errors import UsageError

    for program in _running():
        given = program.args["ssh-config"].value if "ssh-config" in program.args else None
        # It may be a pipe, such as that of `<(...)`.
        if given and (not Path(given).exists() or Path(given).is_dir()):
            refuse(UsageError(f"-S: there is no file {given}", hint="name an ssh_config, or leave it out"))


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


def _suggesting(program: Program, method: Callable[[], None], root: Path) -> Callable[[], None]:
    def suggesting() -> None:
        try:
            method()
        except ParseError as error:
            _require_file(root, error)
            raise ParseError(f"{error}{_suggestion(program, error)}", error.context) from None

    return suggesting


def _require_file(root: Path, error: ParseError) -> None:
    """Ends the program where deploy.toml is why a name is unknown: a badly named stack or kind of replicas has no task or flag."""
    found = _UNKNOWN.search(str(error))
    if found is None or not found[1].startswith(_NAMED_IN_FILE):
        return
    from deploy_lib.cli.invocation import refuse
    from deploy_lib.config.reading import read
    from deploy_lib.errors import UsageError

    try:
        read(root)
    except UsageError as problem:
        refuse(problem)


def _suggestion(program: Program, error: ParseError) -> str:
    found = _UNKNOWN.search(str(error))
    if found is None:
        return ""
    flags = [*program.initial_context.flags, *(error.context.flags if error.context else ())]
    known = flags if found[1].startswith("-") else list(program.parser.contexts)
    question = did_you_mean(found[1], known)
    return f" {question[0].upper()}{question[1:]}" if question else ""
