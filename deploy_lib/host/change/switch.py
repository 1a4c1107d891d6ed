"""A switch: what takes a host to another release, and back to the one before. `detached.py` has the script that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from deploy_lib.compose.command import down_command
from deploy_lib.compose.project import Project
from deploy_lib.config import OneOff, Reload
from deploy_lib.host.change import apply, place, rolling, start, values
from deploy_lib.host.change.keeper import Keeper
from deploy_lib.host.change.one_off import one_off_steps
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.signs import VOLUMES
from deploy_lib.host.change.step import Step
from deploy_lib.host.programs import Program
from deploy_lib.host.stack import HostStack
from deploy_lib.release.history import Event
from deploy_lib.secrets.places import Place
from deploy_lib.secrets.value import MASK
from deploy_lib.shell import quote


class Work(Struct, frozen=True):
    """What a switch does in place of a release's own steps: it changes data, and no file or container.

    Attributes:
        name: in the operator's words.
        forward: in a shell function that ends with the first one that fails.
        back: shell text for a function that undoes it.
        seconds: that either may take.
    """

    name: str
    forward: Sequence[Step]
    back: str
    seconds: float


class Switch(Struct, frozen=True):
    """What is to be done, all of it decided beforehand.

    Attributes:
        token: the lock owner's; another one in the lock's file stops the switch before it begins.
        forward: the files of the new release.
        back: those of the release before; None when there was none, and the stack is taken down again.
        project, back_project: Compose's files, of the new release and of the one before; None: as deploy.toml has them.
        paths: every path that either release has.
        one_offs: commands of the new images that come first.
        reloads: what to do for services whose container stays although its files changed.
        staying: by service, the names of its containers that will stay, for a dry run.
        parts: the services whose containers live in others, and are started again where those were.
        overtaken: the names of such containers, as far as that is known beforehand, for a dry run.
        paused: the names of the paused containers that are to run.
        places: where the containers have their secrets now, from which these are read to be restored.
        marks: by service and secret, the fingerprint of the value that is read.
        secrets: names of the secrets that the new release needs.
        unused: names of declared secrets that no service has, of the new release and of the one before.
        kept_values: the secrets of which the values that run now are used, not ones that the script is given.
        applies: secrets that are changed in a program's own data, too.
        secret_files, back_secret_files: see `Release.secret_files`, of the new release and of the one before.
        started: the events that the history gets first.
        abandoned: the event for a host that went back because its owner was gone.
        stuck: the event for a host that could not go back.
        prune: shell text that is run after everything, when the release was proven.
        rolls, back_rolls: the services that are not replaced all at once, of the new release and of the one before.
        runs, back_runs: which services are started, of the new release and of the one before.
        work: what is done instead of going to another release.
        keeper: what keeps the values that only a shell had, of a project that is adopted.
        recalled: what keeps the values that are read back.
    """

    token: str
    forward: Placement
    back: Placement | None
    started: Sequence[Event]
    abandoned: Event
    stuck: Event
    one_offs: Sequence[OneOff] = ()
    project: Project | None = None
    back_project: Project | None = None
    paths: Sequence[str] = ()
    reloads: Sequence[Reload] = ()
    staying: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts: Sequence[str] = ()
    overtaken: Sequence[str] = ()
    paused: Sequence[str] = ()
    places: Sequence[Place] = ()
    marks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Sequence[str] = ()
    unused: Sequence[str] = ()
    kept_values: Sequence[str] = ()
    applies: Sequence[Program] = ()
    secret_files: Mapping[str, str] = field(default_factory=dict)
    back_secret_files: Mapping[str, str] = field(default_factory=dict)
    prune: str = ":"
    rolls: rolling.Rolls = ()
    back_rolls: rolling.Rolls = ()
    runs: start.Runs = field(default_factory=start.Runs)
    back_runs: start.Runs = field(default_factory=start.Runs)
    work: Work | None = None
    keeper: Keeper | None = None
    recalled: Sequence[Keeper] = ()


def forward_steps(stack: HostStack, switch: Switch) -> list[Step]:
    """The steps that take a host to the new release, in a shell function that ends with the first one that fails."""
    if switch.work is not None:
        return [*switch.work.forward]
    project = switch.project or stack.project
    env = "".join(f"{name}={MASK} " for name in switch.secrets)
    reloaded = [
        place.act(reload, quote(container))
        for reload in switch.reloads
        for container in switch.staying.get(reload.service, ())
    ]
    return [
        Step(f"{values.deliver(switch.secret_files)} || return"),
        Step(place.remember(project, switch.reloads)),
        Step(f"{place.note(stack.directory, switch.paths)} || return"),
        Step(f"{place.place(stack.directory, switch.forward)} || return"),
        # They may read and mount any of the new files; those that are mounted already change for what runs, too.
        *one_off_steps(stack, project, switch.one_offs, env, alone=switch.back is not None),
        # A secret in a program's data is changed while the program runs; its open connections stay.
        Step(apply.forward(switch.applies)),
        *rolling.forward_steps(project, switch.rolls, env),
        *start.forward_steps(switch.runs, project, env),
        *rolling.settled(switch.rolls),
        Step(place.tell(project, switch.reloads), tuple(reloaded)),
        Step("rejoin || return", tuple(f"docker restart {quote(name)}" for name in switch.overtaken)),
        Step(apply.prove(switch.applies)),
    ]


def back_text(stack: HostStack, switch: Switch) -> str:
    """Shell text for a function that takes a host back to the release before, or to nothing where there was none.

    Files come back whatever the engine does. What Docker is asked or told first waits for it, as on the way there.
    """
    if switch.work is not None:
        return switch.work.back
    directory, project = stack.directory, switch.back_project or stack.project
    if switch.back is None:
        return f"""\
cd / || return
engine || return
{_name_volumes(project)}
timeout -k 10 {int(stack.settings.switch_timeout)} {down_command(project)} || return
{place.place(directory, Placement(dropped=sorted({*switch.forward.files, *switch.paths})))}"""
    return f"""\
{start.functions(stack, project)}{rolling.functions(stack, project, switch.back_rolls)}
{values.restore({*(n for place in switch.places for n in place.names), *(n for each in switch.recalled for n in each.names)})}
{values.deliver(switch.back_secret_files)} || return
{place.place(directory, switch.back, last_resort=True)} || return
engine || return
{place.remember(project, switch.reloads)}
{apply.back(switch.applies)}
{rolling.back(switch.back_rolls)}{start.back(switch.back_runs)}{rolling.settled_back(switch.back_rolls)}
{apply.back_later(switch.applies)}
{place.tell(project, switch.reloads)}
rejoin"""


def _name_volumes(project: Project) -> str:
    """Shell text that names what taking a project down leaves behind: those without a name, too, which nobody would find."""
    mounted = '{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}'
    return f"""\
v=$({{ docker volume ls -q {project.filters}; docker ps -aq {project.filters} | xargs -r docker inspect --format {quote(mounted)}; }} 2>/dev/null)
echo '{VOLUMES}' $(printf '%s\\n' "$v" | sort -u)"""
