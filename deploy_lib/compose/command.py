"""The calls of `docker compose`, as shell text.

The project is always named outright: a COMPOSE_PROJECT_NAME in the host's environment would override the file's. `${PWD}` in a
file is the project's directory, as it is for who runs Compose there, and not where a script happens to be. Where
COMPOSE_IGNORE_ORPHANS is on, in an env file or on the host, `up` refuses `--remove-orphans`: so it is off, as the environment of a
call counts more than both. Of all settings of Compose that alone makes a call fail that Compose has rendered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from deploy_lib.compose.project import Project
from deploy_lib.shell import quote, words
from deploy_lib.values import replace

VERSION = "docker compose version --short"

_ROOT = "/files" + "/+" * 8
"""Below `$t`, what stands for the host's root. On a host what leads above the root leads to the root; here a few levels do that."""

IN_PLACE = r'sed "s|$t/files\(/+\)*|$t|g; s|$t/|/|g; s|$t|/|g"'
"""The command that makes, of what was rendered in memory, what is rendered of the same files in their places."""


def mirror(project: Project) -> str:
    """Where a project's files lie in memory, as a shell word: `$t`, and then the same path as on the host.

    So each relative path of theirs leads to where it will lead on the host, however far up.
    """
    return f'"$t"{quote(f"{_ROOT}{project.directory}")}'


def compose_command(project: Project, *arguments: str) -> str:
    """A call for a deployed stack."""
    return _call(project, quote(project.directory), arguments)


def render_command(project: Project) -> str:
    """The call that renders the files in memory; values that no env file has come from the environment."""
    return _call(project, mirror(project), _RENDER)


def deployed_command(project: Project) -> str:
    """The call that renders the files in their places; each may lie anywhere on the host."""
    files = [word for name in project.files for word in ("-f", project.directory / name)]
    env_files = [word for name in project.env_files for word in ("--env-file", project.directory / name)]
    where = ("-p", project.name, "--project-directory", project.directory)
    return _in(quote(project.directory), words("docker", "compose", *where, *files, *env_files, *_RENDER))


def by_hand_command(project: Project, *arguments: str) -> str:
    """A call that reads the files in their places, with all profiles active."""
    return compose_command(replace(project, profiles=("*",)), *arguments)


def by_hand_render(project: Project) -> str:
    """The call that renders them so."""
    return by_hand_command(project, *_RENDER)


def by_hand_hashes(project: Project) -> str:
    """The call that prints a hash of each service's configuration, for the files in their places."""
    return by_hand_command(project, *_HASH)


def moved_hashes(project: Project) -> str:
    """The same for files in memory that are to come into their places: what is hashed is what they say there.

    Nothing of what lies in the places now is read: an `env_file` or an included file may be another one.
    """
    # Of profiles, what is rendered has only the active ones.
    rendered = replace(project, files=("-",), env_files=(), profiles=("*",))
    hashed = _call(rendered, quote(project.directory), _HASH_RENDERED)
    return f"{render_command(project)} | {IN_PLACE} | {hashed}"


def hashes_in_place(project: Project) -> str:
    """The same, with what the files refer to as it lies in the places now."""
    return _call(project, mirror(project), _HASH, quote(project.directory))


def inactive_services(project: Project) -> str:
    """The call that prints the names of all services of files in memory, those of profiles that are not active, too."""
    return _call(replace(project, profiles=("*",)), mirror(project), ("config", "--services"))


_RENDER = ("config", "--format", "json")
_HASH = ("config", "--hash", "*")

_HASH_RENDERED = (*_HASH, "--no-consistency")
"""The same for what Compose has rendered: that may depend (`required: false`) on services of a profile that is not active, which
it leaves out, and then finds undefined."""

BLANK = r's/.*The \\*"\([A-Za-z_][A-Za-z0-9_]*\)\\*" variable is not set.*/\1/p'
"""For `sed -n`: the names of the variables that Compose found no value for, in what a rendering said on standard error. It
puts an empty text in their place, with no other sign of it."""


def hash_command(project: Project) -> str:
    """The calls that print a hash of each service's configuration, for the files in memory; a hash depends on the directory."""
    return _hashed(project, mirror(project))


def deployed_hashes_command(project: Project) -> str:
    """The calls that print what hash each service's container of a deployed stack may bear: one line or two for each service."""
    return f"{compose_command(project, *_HASH)}; {_hashed(project, quote(project.directory))}"


def _hashed(project: Project, directory: str) -> str:
    # Asked for hashes, Compose 2.26 reads no `env_file` of a service; the hash on a container is that of what was in it.
    rendered = replace(project, files=("-",))
    return f"{_call(project, directory, _RENDER)} | {_call(rendered, directory, _HASH_RENDERED)}"


def up_command(project: Project) -> str:
    """The call that makes the containers what the files in place say."""
    return _up(project)


def up_commands(project: Project, services: Sequence[str]) -> tuple[str, ...]:
    """The calls that do so for some services, whatever others they depend on or need them."""
    return tuple(_up(project, *options, *services) for options in SOME)


SOME = (("--no-start",), ("--no-deps", "--no-recreate"))
"""Options of two calls of `up` that make containers of some services, and then start these.

In one call, Compose would start what they depend on as well, also what has done its work; or, with `--no-deps`, 2.26 would leave
that out of the configuration that it remembers, and make them anew another time.
"""

BESIDE = ("--no-start", "--no-recreate"), ("--no-deps", "--no-recreate")
"""Options of two calls of `up` that make further containers of a service, and then start these, with those that they need and
that are named, in their order; all that are there already stay as they are."""


def _up(project: Project, *more: str) -> str:
    orphans = () if project.keeps_orphans else ("--remove-orphans",)
    return compose_command(
        project, "up", "-d", "--no-build", "--pull", "never", *orphans, "--quiet-pull", *more
    )


def beside_commands(project: Project, service: str, number: int) -> tuple[str, ...]:
    """The calls that make more containers of a service, so that there are `number` of them."""
    scale = ("--scale", f"{service}={number}")
    return tuple(_up(project, *options, *scale, service) for options in BESIDE)


def down_command(project: Project) -> str:
    """The call that takes a stack down; no volume is removed, and no file is read, so that nothing has to be filled in."""
    return words("docker", "compose", "-p", project.name, "down", "--remove-orphans")


def remove_left_behind(project: Project, one_off: str) -> str:
    """A command that removes what would be in the way of `up`, or stay beside what that makes.

    What Compose had made to take a container's place when its host went down: until it takes that place, its name begins with the
    other container's id, and it was never started. If it stays, the next `up` fails ("the container name is already in use"). And a
    one-off command's container that an engine which went down could not remove; Compose counts it as nobody's orphan.

    Args:
        one_off: the name of that container.
    """
    found = f"docker ps -a {project.filters} --format '{{{{.ID}}}} {{{{.State}}}} {{{{.Names}}}}'"
    half = "[0-9a-f]" * 12
    return (
        f"{{ {found} | while read -r i s n; do "
        f'case $s:$n in created:{half}_*) docker rm "$i" >/dev/null;; *:{quote(one_off)}) docker rm -f "$i" >/dev/null;; esac; '
        "done; true; }"
    )


def _call(project: Project, directory: str, arguments: tuple[str, ...], home: str = "") -> str:
    """A call; included files and relative paths start from where the others lie.

    Args:
        directory: where the files lie, as a shell word.
        home: what relative paths start from, where that is another one.
    """

    def place(name: str) -> str:
        # What was started by hand may have files anywhere.
        return quote(name) if name.startswith("/") or name == "-" else f"{directory}/{quote(name)}"

    files = [f"-f {place(name)}" for name in project.files]
    env_files = [f"--env-file {place(name)}" for name in project.env_files]
    profiles = [f"--profile {quote(name)}" for name in project.profiles]
    options = " ".join(
        [f"-p {quote(project.name)} --project-directory {home or directory}", *profiles, *files, *env_files]
    )
    return _in(home or directory, f"docker compose {options} {words(*arguments)}")


def _in(directory: str, call: str) -> str:
    return f"env PWD={directory} COMPOSE_IGNORE_ORPHANS=false {call}"


def refusal(said: str, directory: PurePosixPath) -> str:
    """Why a rendering in memory failed: what Compose said, without its warnings, and with files by their names.

    Args:
        directory: the stack's; what lies elsewhere has its path on the host.
    """
    lines = [line for line in said.splitlines() if not re.match(r'time="[^"]*" level=(warning|info) ', line)]
    return re.sub(r"/\S+?/files(/\+)+", "", "\n".join(lines)).replace(f"{directory}/", "") or said


def shown(call: str) -> str:
    """A call as people write it who are in the project's directory."""
    before, compose, rest = call.partition("docker compose ")
    return f"{compose}{rest}" if before.startswith("env PWD=") else call
