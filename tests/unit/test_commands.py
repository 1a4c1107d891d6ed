"""The two programs' tasks, as Invoke and Fabric read them."""

import fabfile
import tasks

FLEET_ONLY = {"node", "parallel"}
SHARED = {"deploy-core", "deploy-workers", "rollback", "preflight", "status", "history", "logs"}


def flags(collection: object) -> dict[str, set[str]]:
    """By task, its long flags; a help text for a flag that a task has not is an error here, and would be one at every call."""
    return {
        context.name: {name for argument in context.args.values() for name in argument.names}
        for context in collection.to_contexts()  # type: ignore[attr-defined]
    }


def test_what_one_program_has_the_other_has_with_the_same_flags() -> None:
    invoke, fab = flags(tasks.ns), flags(fabfile.ns)
    assert set(fab) == SHARED
    for name in SHARED:
        assert invoke[name] - fab[name] <= FLEET_ONLY, name
        assert fab[name] <= invoke[name], name


def test_no_flag_is_shortened() -> None:
    for collection in (tasks.ns, fabfile.ns):
        assert all(len(flag) > 1 for task in flags(collection).values() for flag in task)
