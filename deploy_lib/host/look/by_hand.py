"""What somebody else has started: the files that its containers name, and the variables that only a shell had, read from the
containers themselves.

It takes some channels more than other facts, and only where a project runs without a record, or runs as such a release.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct, field

from deploy_lib.compose import command
from deploy_lib.compose.container import Container
from deploy_lib.compose.model import read_model
from deploy_lib.compose.project import Project
from deploy_lib.compose.recovery import Kind, others, passed_on, recoverable, stand_ins
from deploy_lib.compose.service import Service
from deploy_lib.compose.spots import filled_in, find_spots, solve, sort_out
from deploy_lib.host.change import values
from deploy_lib.host.look.texts import ask_texts
from deploy_lib.host.stack import HostStack
from deploy_lib.secrets.placeholders import placeholders
from deploy_lib.secrets.places import Place
from deploy_lib.shell import quote, words
from deploy_lib.ssh.session import Session
from deploy_lib.values import replace

STEP = "looking at what runs here"


class ByHand(Struct, frozen=True):
    """A project as it was started by somebody else.

    Attributes:
        project: its files, with the profiles and numbers of containers that it has.
        services: those that have containers, as the host's Compose renders them.
        variables: what only a shell had, as far as it may be known here.
        hidden: where the host can read the rest.
        secrets: the names of the declared ones.
        unlike: the services whose containers were made from something else than these files, as these are now.
    """

    project: Project
    services: Mapping[str, Service] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[Place, ...] = ()
    unlike: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()

    @property
    def hidden_names(self) -> tuple[str, ...]:
        """The variables that are hidden and no declared secret."""
        return tuple(sorted({name for place in self.hidden for name in place.names} - self.secrets))

    @property
    def given_names(self) -> tuple[str, ...]:
        """The declared secrets that its containers have."""
        found = {name for s in self.services.values() for name in s.secret_names}
        return tuple(sorted(found & self.secrets))


def _active(service: Service, profiles: Collection[str]) -> bool:
    return not service.profiles or bool({*service.profiles} & {*profiles})


def started_from(containers: Iterable[Container]) -> Project | None:
    """The files that most of the containers were made from; None where Compose has not said that."""
    found = Counter(project for c in containers if (project := c.project))
    return found.most_common(1)[0][0] if found else None


def ask_by_hand(
    session: Session,
    stack: HostStack,
    project: Project,
    containers: Sequence[Container],
    secrets: Collection[str],
) -> ByHand | str:
    """What runs, from its files and its containers; in words, why the files cannot be read where that is so.

    A project without an env file has the `.env` in its directory, where there is one: Compose reads that by itself.

    Args:
        secrets: the names of the declared secrets.

    Raises:
        RemoteError: the session ended.
        NotUnderstoodError: the host answered with something else.
    """
    project, names = _names(session, project)
    kinds: dict[str, Kind] = dict.fromkeys([*recoverable(names), *secrets], "text")
    rendered = _render(session, project, kinds, stack.node.variables)
    if isinstance(rendered, str):
        return rendered
    text, kinds = rendered
    running = {c.service for c in containers}
    spots = [spot for spot in find_spots(text, kinds) if spot.service in running]
    sorted_out = sort_out(spots, secrets)
    known = solve(sorted_out.open, ask_texts(session, sorted_out.open, containers, STEP), kinds)
    # What no env file can hold is treated as what may not be known.
    lost = {name for spot in sorted_out.open for name in spot.names if name not in known}
    hidden = (
        *sorted_out.hidden,
        *(p for spot in sorted_out.open if spot.names & lost and (p := spot.place) is not None),
    )
    # What no container shows may stand in deploy.toml.
    known |= {n: v for n, v in stack.node.variables.items() if n in {*names, *kinds} and n not in known}
    return _finished(session, stack, project, containers, secrets, known, hidden)


def _names(session: Session, project: Project) -> tuple[Project, list[str]]:
    """The project with the env file that it has without being told, and the names of variables in its files."""
    usual = project.directory / _USUAL
    files = words(*(project.directory / name for name in project.inputs))
    script = f"""\
[ ! -f {quote(usual)} ] || echo {quote(_MARK)}
grep -oh '\\${{\\{{0,1\\}}[A-Za-z_][A-Za-z0-9_]*' -- {files} /dev/null 2>/dev/null | tr -d '${{' | sort -u"""
    said = session.run(script, check=False, step=STEP).stdout
    if said.startswith(_MARK):
        said = said.removeprefix(_MARK)
        project = project if project.env_files else replace(project, env_files=(_USUAL,))
    return project, [line for line in said.split() if re.fullmatch(r"[A-Za-z_]\w*", line)]


_USUAL, _MARK = ".env", "=== there"
_REQUIRED = re.compile(r"required variable (\w+) is missing")
_ROUNDS = 20


def _render(
    session: Session, project: Project, kinds: dict[str, Kind], given: Mapping[str, str]
) -> tuple[str, dict[str, Kind]] | str:
    """A rendering with a stand-in for each variable, and the kinds that Compose took.

    Args:
        given: values of variables for which no stand-in fits.
    """
    said = ""
    for _ in range(_ROUNDS):
        script = command.by_hand_render(project)
        result = session.run(script, env={**given, **stand_ins(kinds)}, check=False, step=STEP)
        said = result.stderr
        required = _REQUIRED.findall(said) if result.exit_code else [*_blank(said), *passed_on(result.stdout)]
        if new := [name for name in recoverable(required) if name not in {*kinds, *given}]:
            kinds = {**kinds, **dict.fromkeys(new, "text")}
        elif not result.exit_code:
            return result.stdout, kinds
        elif (tried := others(kinds, said)) is not None:
            kinds = tried
        else:
            break
    lines = [line for line in said.strip().splitlines() if "level=warning" not in line]
    return lines[-1] if lines else "Compose gives no reason"


_UNSET = re.compile(r'The \\*"([A-Za-z_]\w*)\\*" variable is not set')


def _blank(said: str) -> list[str]:
    return _UNSET.findall(said)


def _finished(
    session: Session,
    stack: HostStack,
    project: Project,
    containers: Sequence[Container],
    secrets: Collection[str],
    known: Mapping[str, str],
    hidden: tuple[Place, ...],
) -> ByHand | str:
    """The rendering with all that is known, and the services for which it is not what their containers were made from."""
    hidden = tuple(left for place in hidden if (left := filled_in(place, known)).names)
    unknown = {name for place in hidden for name in place.names}
    env = {**placeholders({*secrets, *unknown}), **known}
    result = session.run(command.by_hand_render(project), env=env, check=False, step=STEP)
    if result.exit_code:
        said = result.stderr.strip().splitlines()
        return said[-1] if said else f"Compose ended with status {result.exit_code}, and said nothing"
    every = read_model(result.stdout, str(project.directory))
    running = Counter(c.service for c in containers)
    services = {name: service for name, service in every.items() if name in running}
    profiles = sorted({name for s in services.values() for name in s.profiles})
    active = {n: s for n, s in every.items() if n in running or _active(s, profiles)}
    scale = sorted((n, running[n]) for n, s in active.items() if s.replicas != running[n])
    project = replace(project, profiles=tuple(profiles), scale=tuple(scale))
    places = list(dict.fromkeys([*hidden, *(place for s in services.values() for place in s.secrets)]))
    # Those of Compose secrets that come from a variable, too.
    hidden = tuple(place for place in places if {*place.names} - {*secrets})
    names = {name for place in places for name in place.names}
    script = f"""\
{values.capture(stack, places)}
{values.restore(names)}
{command.by_hand_hashes(project)}"""
    hashed = session.run(script, env=known, check=False, step=STEP)
    hashes = {x[0]: x[1] for line in hashed.stdout.splitlines() if len(x := line.split()) == 2}
    unlike = {c.service for c in containers if hashes.get(c.service) != c.config_hash}
    return ByHand(project, services, dict(known), hidden, tuple(sorted(unlike)), frozenset(secrets))
