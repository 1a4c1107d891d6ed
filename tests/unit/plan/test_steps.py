"""What a dry run shows comes from the steps that the scripts are made of."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from deploy_lib.compose.project import Project
from deploy_lib.compose.service import Service
from deploy_lib.config import Backup, OneOff, Reload, Stack
from deploy_lib.host.change.detached import switch_script
from deploy_lib.host.change.history import event
from deploy_lib.host.change.stage import needed_logins, staging_script
from deploy_lib.host.change.start import Runs
from deploy_lib.host.look.by_hand import ByHand
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.decision import Decision, Job
from deploy_lib.plan.plan import make_plan
from deploy_lib.plan.steps import due_backups, make_staging, make_switch, shown_commands
from deploy_lib.release.image import Image
from deploy_lib.secrets.places import Place
from deploy_lib.secrets.value import MASK, Secret
from deploy_lib.values import replace
from tests.unit.plan.test_decide import NODE, case
from tests.unit.plan.test_plan import NEW, OLD, desired, settled

LOGIN = Login("docker.io", "me", Secret("a-password"))
MIGRATE = OneOff(service="web", command=("migrate", "it's"))
RELOAD = Reload(path="conf/", service="web", signal="SIGHUP", check=("true",))


def job() -> Job:
    stack = NODE.stack.model_copy(update={"before_switch": (MIGRATE,)})
    return replace(case(), node=NODE.model_copy(update={"stack": stack}))


def decided(image: Image = NEW, facts: Facts | None = None) -> Decision:
    return Decision(make_plan(NODE, facts or settled(), desired(image, mark="A=1 B=2")), "key")


def scripts(decision: Decision, facts: Facts, logins: Sequence[Login]) -> str:
    staging = make_staging(decision, facts, job().stack)
    release = decision.plan.desired.release
    switch = make_switch(
        decision, facts, job(), token="t", happens=lambda kind, detail: event(kind, release, detail=detail)
    )
    return staging_script(job().stack, staging, needed_logins(staging, logins)) + switch_script(
        job().stack, switch
    )


def test_the_commands_come_in_their_order_and_show_no_secret() -> None:
    project = job().stack.project_name
    login, pull, one_off, up = shown_commands(decided(), settled(), job(), [LOGIN])
    assert login == "docker login --username me --password-stdin docker.io"
    assert pull == f"docker pull {NEW}"
    assert one_off.startswith(f"A=*** B=*** docker compose -p {project} ")
    assert one_off.endswith(
        f"""run --rm --name {project}-before-switch --no-deps -T web migrate 'it'"'"'s'"""
    )
    assert up.startswith(f"A=*** B=*** docker compose -p {project} ")
    assert " up -d " in up


def test_what_is_shown_is_what_is_run() -> None:
    text = scripts(decided(), settled(), [LOGIN])
    for command in shown_commands(decided(), settled(), job(), [LOGIN]):
        bare = command.replace(f"A={MASK} B={MASK} ", "")
        words = bare.removeprefix("docker login ").removeprefix("docker pull ")
        assert words in text, command
    assert "a-password" not in text


def test_what_kept_releases_need_gets_a_tag_of_the_project_s_own_whatever_a_version_before_has_called_it() -> (
    None
):
    stack, older = HostStack(NODE, "p"), Image.parse(f"h/x:0@sha256:{'c' * 64}")
    facts = settled()
    first = replace(facts.history[0].release, id="r0", images={"web": older})
    had = replace(
        facts,
        images={**facts.images, older.listed: "i0"},
        history=(event("proven", first), *facts.history),
        keep_tags=frozenset(image.keep_tag(NODE.stack_name) for image in (OLD, older)),
    )
    found = make_staging(decided(NEW, had), had, stack)
    assert (found.protect, found.keep, found.unnamed) == ([OLD, NEW], [older], [])
    has = replace(had, keep_tags=frozenset(image.keep_tag("p.") for image in (OLD, older)))
    found = make_staging(decided(NEW, has), has, stack)
    assert (found.protect, found.keep) == ([NEW], [])


def test_what_the_engine_has_by_another_name_may_have_to_be_pulled_by_this_one() -> None:
    """containerd's store has content by its digest, and takes it by names of its own repository alone."""
    facts = settled()
    there = replace(facts, images={}, image_ids=frozenset({OLD.digest, NEW.digest}))
    found = make_staging(decided(NEW, there), there, HostStack(NODE, "p"))
    assert (found.pulls, found.protect, found.unnamed) == ((), [OLD, NEW], [OLD, NEW])


def test_a_secret_that_neither_release_has_anywhere_is_not_in_use() -> None:
    plan = decided().plan
    place = Place("web", "environment", "KEY", ("", "DB_PASSWORD", ""))
    assert plan.back is not None

    def unused(new: tuple[Place, ...] | None, old: tuple[Place, ...] | None) -> Sequence[str]:
        assert plan.back is not None
        after = replace(plan.desired, release=replace(plan.desired.release, places=new))
        before = replace(plan.back, release=replace(plan.back.release, places=old))
        decision = Decision(replace(plan, desired=after, back=before), "key")
        return make_switch(
            decision, settled(), job(), token="t", happens=lambda kind, _: event(kind, after.release)
        ).unused

    assert unused((), ()) == ["DB_PASSWORD", "REGISTRY_TOKEN"]
    assert unused((), (place,)) == unused((place,), ()) == ["REGISTRY_TOKEN"]
    # A record of an earlier version does not say which ones it has: they stay without a value, as they were.
    assert unused((), None) == unused(None, ()) == []


def test_what_only_a_shell_had_is_read_wherever_the_containers_have_it() -> None:
    """In a command, too, which the rendering with placeholders does not tell. What they have as a file stays no variable."""
    argument = Place("web", "argument", "1", ("", "SHELL_PASSWORD", ""))
    as_file = Place("web", "file", "/run/secrets/pw", ("", "DB_PASSWORD", ""))
    as_variable = Place("web", "environment", "KEY", ("", "API_KEY", ""))
    services = {"web": Service("web", OLD, secrets=(as_file, as_variable))}
    made = ByHand(
        Project("p", PurePosixPath("/srv/p"), ("a.yml",)),
        services,
        hidden=(argument,),
        secrets=frozenset({"DB_PASSWORD", "API_KEY"}),
    )
    facts = replace(settled(), history=(), by_hand=made, deployed=services)
    facts = replace(facts, images={OLD.listed: "i"})
    decision = decided(facts=facts)
    switch = make_switch(
        decision, facts, job(), token="t", happens=lambda kind, _: event(kind, decision.plan.desired.release)
    )
    assert argument in switch.places
    assert switch.keeper is not None
    kept = switch.keeper
    assert (kept.variables, kept.secrets) == (("SHELL_PASSWORD",), ("API_KEY", "DB_PASSWORD"))
    assert kept.files == ("DB_PASSWORD",)


def test_what_going_back_would_need_is_pulled_and_shown_as_well() -> None:
    facts = replace(settled(), images={}, image_ids=frozenset())
    shown = shown_commands(decided(facts=facts), facts, job(), ())
    assert f"docker pull {OLD}" in shown
    assert f"docker pull --quiet {OLD}" in scripts(decided(facts=facts), facts, ())


def test_there_is_no_login_without_a_private_image() -> None:
    other = replace(LOGIN, host="other")
    assert not [c for c in shown_commands(decided(), settled(), job(), [other]) if "login" in c]


def test_a_service_that_stays_is_told_of_its_files() -> None:
    facts = settled()
    decision = Decision(replace(make_plan(NODE, facts, desired()), nothing=False, reloads=(RELOAD,)), "key")
    name = facts.containers[0].name
    last = shown_commands(decision, facts, job(), ())[-1]
    assert last.startswith(f"docker exec {name} true && docker exec {name} sh -c 'kill -s HUP 1'")


ROWS = Backup(name="rows", service="web", command=("dump",), check=("check",), restore=("load",))
OTHER = ROWS.model_copy(update={"name": "other", "service": "other"})


def test_data_are_backed_up_before_what_may_touch_them() -> None:
    with_both = NODE.stack.model_copy(update={"backups": (ROWS, OTHER), "before_switch": ()})
    migrating = with_both.model_copy(update={"before_switch": (MIGRATE,)})

    def due(decision: Decision, facts: Facts, stack: Stack = with_both) -> list[str]:
        return [backup.name for backup in due_backups(decision, facts, stack)]

    facts = settled()
    other = replace(facts.containers[0], id="2", service="other", image_id="sha256:other")
    both = replace(facts, containers=(*facts.containers, other))
    assert due(decided(), facts) == ["rows"]
    assert due(decided(OLD), facts) == []
    # A command may touch the data of any service that runs.
    assert due(decided(), both, migrating) == ["rows", "other"]
    assert due(decided(), facts, migrating) == ["rows"]
    # One that ran and has stopped is not passed over.
    assert due(decided(), replace(facts, containers=())) == ["rows"]
    nothing = Facts()
    assert due(Decision(make_plan(NODE, nothing, desired(NEW)), "key"), nothing, migrating) == []


def test_a_dry_run_shows_the_backups_before_the_switch() -> None:
    stack = job().node.stack.model_copy(update={"backups": (ROWS,)})
    with_rows = replace(job(), node=NODE.model_copy(update={"stack": stack}))
    shown = shown_commands(decided(), settled(), with_rows, [LOGIN])
    assert shown[2:4] == ["docker exec -i CONTAINER-OF-web dump", "docker exec -i CONTAINER-OF-web check"]


def test_going_back_to_what_somebody_had_stopped_leaves_it_stopped() -> None:
    web = settled().containers[0]
    idle = replace(web, id="2", service="idle", state="exited", exit_code=137)
    made = ByHand(Project("shop", PurePosixPath("/srv/shop"), ("by-hand.yml",)))
    facts = replace(settled(), history=(), by_hand=made, deployed={}, containers=(web, idle))
    decision = Decision(make_plan(NODE, facts, desired(NEW)), "key")

    def back(facts: Facts) -> Runs:
        return make_switch(
            decision,
            facts,
            job(),
            token="t",
            happens=lambda kind, _: event(kind, decision.plan.desired.release),
        ).back_runs

    assert back(facts) == Runs(("web",), changed_later=True, stopped=("idle",))
    assert back(replace(facts, containers=(web, replace(idle, state="restarting")))) == Runs()
    # One of several that runs: the service is not stopped.
    assert back(replace(facts, containers=(web, idle, replace(idle, id="3", state="running")))) == Runs()
