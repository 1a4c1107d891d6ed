"""The two programs' tasks, as Invoke and Fabric read them."""

from invoke.parser import ParserContext

import fabfile
import tasks

INVOKE, FAB = tasks.ns.to_contexts(), fabfile.ns.to_contexts()
"""Read once: Invoke takes the help texts out of a task when it reads it."""

FLEET_ONLY = {"node", "parallel"}
SHARED = {"deploy-core", "deploy-workers", "rollback", "preflight", "status", "history", "logs"}


def flags(contexts: list[ParserContext]) -> dict[str, set[str]]:
    """By task, its long flags; a help text for a flag that a task has not is an error here, and would be one at every call."""
    return {
        str(context.name): {name for argument in context.args.values() for name in argument.names}
        for context in contexts
    }


def test_what_one_program_has_the_other_has_with_the_same_flags() -> None:
    invoke, fab = flags(INVOKE), flags(FAB)
    assert set(fab) == SHARED
    for name in SHARED:
        assert invoke[name] - fab[name] <= FLEET_ONLY, name
        assert fab[name] <= invoke[name], name


def test_no_flag_is_shortened() -> None:
    for contexts in (INVOKE, FAB):
        assert all(len(flag) > 1 for task in flags(contexts).values() for flag in task)


def test_every_flag_says_what_it_means() -> None:
    for context in (*INVOKE, *FAB):
        assert [name for name, argument in context.args.items() if not argument.help] == [], context.name
