"""Whether a secret was changed that needs `rotate-secrets`, and not only new containers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.service import Service
from deploy_lib.config import Apply, Node
from deploy_lib.host.programs import Program
from deploy_lib.secrets.places import unreadable


def check_once_read(
    node: Node, steps: Mapping[str, Apply], changed: Collection[str], *, recorded: bool, lost: str = ""
) -> Check:
    """That no secret was changed which a program keeps in its data, too: new containers could not log in to it.

    Args:
        changed: the secrets that run with other values than those of the source.
        recorded: there is a proven release; without one, rotate-secrets refuses.
        lost: the path of the key by which one could tell, where that is gone.
    """
    name, proves = "secrets that are read once", "none was changed since they were last deployed or rotated"
    if lost and steps:
        return Check(
            name,
            proves,
            "warning",
            problem=f"{lost} is gone, so nothing can tell whether {', '.join(sorted(steps))} was changed",
            hint="put it back from a backup of the host; otherwise make sure that the source has the values that run",
        )
    rotate = node.task("rotate-secrets")
    fixed = immutable(steps, changed)
    problem = "; ".join(
        f"{_named(secret, step)} was changed at its source, and {step.service} reads it only once"
        for secret in changed
        if (step := steps.get(secret)) is not None
    )
    return judged(
        name,
        proves,
        fixed or problem,
        "set it back at its source"
        if fixed
        else f"change them where they are kept, too: {rotate}"
        if recorded
        else f"set them back at their source, deploy, then change them there: {rotate} does the rest",
    )


def check_exposure(node: Node, services: Mapping[str, Service]) -> Iterator[Check]:
    """That secrets stand only where this program keeps its promises, or where the stack accepts less.

    Three ways are fine: a Compose secret, the content of a config, and, where `exposed` accepts it, the environment.
    """
    foreign = [
        f"{service.name} gets {key}, which has no `environment:` as its source"
        for service in services.values()
        for key in service.foreign
    ]
    yield judged(
        "secrets of the Compose file",
        "each is handed to Compose as environment",
        "; ".join(foreign),
        "give it `environment: NAME` in the Compose file, and [secrets.NAME] in deploy.toml",
    )
    yield from check_plain_sight(services)
    found = [
        (service, name, where) for service in services.values() for name, where in service.exposed.items()
    ]
    unaccepted = [each for each in found if each[1] not in node.stack.exposed]
    names = ", ".join(
        f'"{name}"' for name in sorted({name for _, name, _ in unaccepted} | {*node.stack.exposed})
    )
    lost = unreadable(place for service in services.values() for place in service.secrets)
    problem = "; ".join(
        f"{name} stands in the environment of {service.name} ({', '.join(place.where for place in where)}), "
        "where `docker inspect` shows it"
        for service, name, where in unaccepted
    )
    unsafe = "; ".join(
        f"{name} could not be restored: it stands only in {place.where} of {place.service}, beside another secret, or twice"
        for name, place in sorted(lost.items())
    )
    yield judged(
        "secrets in the environment",
        "those that `docker inspect` shows are accepted",
        problem or unsafe,
        f"use a Compose secret and a variable such as NAME_FILE, or accept it: exposed = [{names}] in [stacks.{node.stack_name}]"
        if problem
        else "give it to the service by itself, too: as a Compose secret, or as a variable of its own",
        found=", ".join(sorted({f"{name} in {service.name}" for service, name, _ in found})),
    )


def check_plain_sight(services: Mapping[str, Service]) -> Iterator[Check]:
    """That no secret stands where its value must not be, or where it is not seen; it would not be fetched, and be deployed as an
    empty text."""
    refused = [f"{key} ({line})" for service in services.values() for key, line in service.refused]
    unseen = {
        f"{service.name} gets the config {key} by `environment: {name}`": f'content: "${{{name}}}"'
        for service in services.values()
        for key, name in service.unseen.items()
    }
    if unseen:
        yield judged(
            "configs",
            "the content of each config can be seen",
            f"{'; '.join(unseen)}, whose value no rendering shows",
            f"write {', '.join(dict.fromkeys(unseen.values()))} in its place, which means the same",
        )
    yield judged(
        "secrets in plain sight",
        "no secret stands in a command, a label or the like",
        f"a secret would stand in {'; '.join(refused)}" if refused else "",
        "hand it over as a Compose secret, and let the command read /run/secrets/NAME",
    )


def immutable(steps: Mapping[str, Apply], changed: Collection[str]) -> str:
    """Which of the changed secrets cannot be changed at all; "" when there is none."""
    return "; ".join(
        f"{_named(name, step)} was changed at its source, and {step.service} initialised its data with the old value, "
        "which cannot be changed afterwards"
        for name in changed
        if (step := steps.get(name)) is not None and not isinstance(step, Program)
    )


def _named(name: str, step: Apply) -> str:
    """A secret as this stack calls it; the step may call the same field otherwise, in another stack."""
    return name if name == step.secret else f"{name} (the field of {step.secret})"
