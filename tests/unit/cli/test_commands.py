"""The two programs' tasks of this repository, as Invoke and Fabric read them."""

import importlib

from invoke.parser import ParserContext

import fabfile
import tasks
from deploy_lib.cli import commands
from deploy_lib.cli.outline import outline
from tests import ROOT

INVOKE, FAB = tasks.ns.to_contexts(), fabfile.ns.to_contexts()
"""Read once: Invoke takes the help texts out of a task when it reads it."""

FLEET_ONLY = {"node", "parallel"}
SHARED = {
    *("deploy-core", "deploy-workers", "rollback", "prune", "rotate-secrets"),
    *("preflight", "status", "history", "logs"),
    *("backup", "backups", "restore"),
}
CHANGING = {"dry-run", "wait-lock", "timings", "json", "debug"}


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
        assert invoke[name] - fab[name] == FLEET_ONLY & invoke[name], name
        assert fab[name] <= invoke[name], name


def test_each_task_has_the_flags_that_the_design_gives_it() -> None:
    fab = flags(FAB)
    deploying = CHANGING | {"tag", "skip-validation", "no-rollback"}
    kinds = {"replicas-backtest", "replicas-training"}
    assert fab["deploy-core"] == deploying | {"service", "refresh", "image"}
    assert fab["deploy-workers"] == deploying | {"service", "refresh", "image"} | kinds
    assert flags(INVOKE)["deploy-all"] == deploying | {"refresh", "image"} | kinds | FLEET_ONLY
    assert fab["rollback"] == deploying
    assert fab["prune"] == fab["rotate-secrets"] == CHANGING
    assert fab["backup"] == CHANGING - {"dry-run"}
    assert fab["backups"] == {"timings", "json", "debug"}
    assert fab["restore"] == CHANGING | {"backup", "skip-validation"}
    assert fab["preflight"] == {"tag", "image", "timings", "json", "debug"}
    assert fab["status"] == {"timings", "json", "debug"}
    assert fab["history"] == {"tail", "timings", "json", "debug"}
    assert fab["logs"] == {"service", "follow", "tail", "timings", "json", "debug"}
    assert flags(INVOKE)["validate-env"] == {"stack"}


def test_no_flag_is_shortened() -> None:
    for contexts in (INVOKE, FAB):
        assert all(len(flag) > 1 for task in flags(contexts).values() for flag in task)


def test_every_flag_says_what_it_means_and_is_a_text_a_switch_or_a_list() -> None:
    for context in (*INVOKE, *FAB):
        assert [name for name, argument in context.args.items() if not argument.help] == [], context.name
        if context.name in SHARED:
            assert {argument.kind for argument in context.args.values()} <= {str, bool, list}


def test_each_command_is_carried_out_by_the_module_of_its_name() -> None:
    for command in (*commands.deploying(outline(ROOT, [])), *commands.COMMANDS):
        module = "deploy" if command.name.startswith("deploy-") else command.name.replace("-", "_")
        assert command.run is importlib.import_module(f"deploy_lib.cli.{module}").run
