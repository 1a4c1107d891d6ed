"""What would be lost with a container that is replaced or removed, and what only looks like it; from facts and a closer look."""

from pathlib import PurePosixPath

import pytest

from deploy_lib.checks.check import Check
from deploy_lib.checks.data import LIMIT, biggest, check_data, losses
from deploy_lib.checks.database import Loss
from deploy_lib.checks.risk import Look, Risk, Scene
from deploy_lib.compose.container import Container
from deploy_lib.compose.mounts import Held
from deploy_lib.config import Backup
from deploy_lib.host.change.history import event
from deploy_lib.host.look.data import Found, Question
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import build

WEB, PG = Image.parse("h/web:1"), Image.parse("postgres:17")
DATA, NAMELESS = Held("volume", "shop_data", "/data"), Held("volume", "a" * 64, "/data")
ROWS = Held("bind", "/opt/shop/rows", "/rows")
MIB = 1024 * 1024


def container(*mounts: Held, image: Image = WEB, **more: object) -> Container:
    return build.container(mounts=mounts, image=image, **more)


def risk(*after: Held, was: Container | None = None, gone: bool = False, **more: object) -> Risk:
    given = {
        "goes": (was or container(),),
        "after": None if gone else after,
        "image": was.image if was else WEB,
    }
    return Risk(**{"service": "web", **given, **more})  # type: ignore[arg-type]


def scene(one: Risk, *mounted: str, layer: int | None = 0, **more: object) -> Scene:
    facts = Facts(
        containers=one.goes,
        layers={c.id: layer for c in one.goes},
        image_ids=frozenset({"sha256:1"}),
        images={"h/web@x": "sha256:1"},
    )
    return replace(Scene(build.node(), "shop-1", facts, (one,), frozenset(mounted)), **more)  # type: ignore[arg-type]


def lost(what: Scene, found: Found | None = None) -> str:
    """What is lost, as one text."""
    return "; ".join(loss.problem for loss in losses(what, Look(found or Found())))


def asked(what: Scene, found: Found | None = None) -> Question:
    look = Look(found or Found())
    losses(what, look)
    return look.question


def holds(path: str = "/data", *, full: bool = True) -> Found:
    return Found(held={("c1", path): full})


# --- containers' own layers -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, LIMIT])
def test_a_small_layer_is_noise_and_costs_no_question(size: int) -> None:
    what = scene(risk(), layer=size)
    assert not lost(what)
    assert not asked(what)


def test_a_large_layer_is_lost_with_its_container_and_its_biggest_directories_are_named() -> None:
    what = scene(risk(), layer=50 * MIB)
    assert lost(what) == "web keeps 50 MiB in its own layer, which recreating it would lose"
    found = Found(layers={"c1": {"/srv/app/a": 29 * MIB, "/srv/app/b": 20 * MIB, "/tmp": MIB, "/etc": 1}})
    assert lost(what, found) == "web keeps 49 MiB in its own layer (/srv/app), which recreating it would lose"
    assert asked(what) == Question(layers=("c1",))
    assert "removing it" in lost(scene(risk(gone=True), layer=50 * MIB))


def test_a_layer_of_a_size_that_nobody_knows_is_not_taken_for_a_small_one() -> None:
    assert "web keeps nobody knows how much" in lost(scene(risk(), layer=None))
    assert not lost(scene(risk(), layer=None), Found(layers={"c1": {"/etc": 5}}))
    assert not lost(scene(risk(), layer=None), Found(layers={"c1": {}}))
    assert lost(scene(risk(), layer=None), Found(layers={"c1": {"/etc": 5, "?": 0}}))


def test_what_the_closer_look_has_missed_counts() -> None:
    what = scene(risk(), layer=50 * MIB)
    assert "50 MiB in its own layer (/etc)" in lost(what, Found(layers={"c1": {"/etc": 5, "?": 0}}))
    assert lost(what, Found(layers={"c1": {}}))
    assert lost(what, Found(layers={"c1": {"/tmp": 30 * MIB, "?": 0}}))


def test_what_programs_must_not_rely_on_does_not_count() -> None:
    noise = dict.fromkeys(
        ("/tmp/a", "/var/cache/apt", "/root/.cache/pip", "/app/x/__pycache__", "/run"), LIMIT
    )
    assert not lost(scene(risk(), layer=55 * MIB), Found(layers={"c1": {**noise, "/var/log": 5 * MIB}}))
    assert lost(scene(risk(), layer=61 * MIB), Found(layers={"c1": {**noise, "/var/log": 11 * MIB}}))


def test_what_a_service_that_has_done_its_work_left_behind_is_none_of_it() -> None:
    done = container(state="exited", exit_code=0)
    assert not lost(scene(risk(was=done, ends=True), layer=50 * MIB))
    assert lost(scene(risk(was=container(), ends=True), layer=50 * MIB))
    assert lost(scene(risk(was=container(state="exited", exit_code=1), ends=True), layer=50 * MIB))


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"/a/b/c": 100}, "/a/b/c"),
        ({"/a/b/c": 50, "/a/b/d": 50}, "/a/b"),
        ({"/a/b": 60, "/c/d": 40}, "/a/b, /c/d"),
        ({"/a/b": 99, "/c": 1}, "/a/b"),
        ({"/": 10}, "/"),
        ({}, ""),
    ],
)
def test_the_biggest_directories_are_as_deep_as_they_have_nearly_all(
    sizes: dict[str, int], named: str
) -> None:
    assert biggest(sizes) == named


# --- volumes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((DATA,), ""),
        ((replace(DATA, writable=False),), ""),
        ((replace(DATA, target="/srv"),), "web has the volume shop_data at /data, and would have it at /srv"),
        ((replace(DATA, target="/srv"), DATA), ""),
        (
            (Held("volume", "x", "/data"),),
            "web has the volume shop_data at /data, and would have the volume x there",
        ),
        ((Held("bind", "/srv/x", "/data"),), "and would have /srv/x there"),
        ((Held("tmpfs", "", "/data"),), "and would have memory there"),
        ((), "web has the volume shop_data at /data, which no service would mount any more"),
    ],
)
def test_a_volume_stays_where_it_is_or_is_missed(after: tuple[Held, ...], said: str) -> None:
    what = scene(risk(*after, was=container(DATA)), "x")
    known = replace(holds(), sources={"/srv/x": "full"})
    assert (said in lost(what, known)) if said else not lost(what, known)
    assert not lost(what, replace(holds(full=False), sources={"/srv/x": "full"}))


@pytest.mark.parametrize("also", ["shop_data", "/opt/shop", "/opt/shop/rows"])
def test_what_another_service_still_mounts_is_missed_where_something_else_takes_its_place(also: str) -> None:
    """A second service that looks at a volume, to back it up, must not hide that the first one loses it."""
    held = DATA if also == "shop_data" else replace(ROWS, target="/data")
    known = replace(holds(), sources={"/opt/shop/rows": "full"})
    assert not lost(scene(risk(was=container(held)), also), known)
    for other in (Held("volume", "x", "/data"), Held("tmpfs", "", "/data"), Held("volume", "x", "/")):
        assert "there" in lost(scene(risk(other, was=container(held)), also, "x"), known)


def test_another_part_of_a_volume_is_not_the_same() -> None:
    one, two = (replace(DATA, inner=name) for name in ("one", "two"))
    was = container(one)
    assert not lost(scene(risk(one, was=was), "shop_data"), holds())
    said = "web has one in the volume shop_data at /data, and would have two in the volume shop_data there"
    assert lost(scene(risk(two, was=was), "shop_data"), holds()) == said
    assert "and would have all of that volume there" in lost(scene(risk(DATA, was=was), "shop_data"), holds())
    # The same directory, seen through the whole volume.
    assert not lost(scene(risk(replace(DATA, target="/x"), one, was=was), "shop_data"), holds())
    deep = container(replace(one, target="/x/one"))
    assert not lost(scene(risk(replace(DATA, target="/x"), was=deep), "shop_data"), holds("/x/one"))


@pytest.mark.parametrize("new", [Held("volume", "x", "/data/sub"), Held("tmpfs", "", "/data/sub")])
def test_what_a_new_mount_would_hide_is_missed(new: Held) -> None:
    full = holds("/data/sub")
    assert lost(scene(risk(DATA, new, was=container(DATA)), "shop_data"), full).startswith(
        "web has data at /data/sub, in the volume shop_data, and would have"
    )
    assert not lost(scene(risk(DATA, new, was=container(DATA)), "shop_data"), holds("/data/sub", full=False))
    assert not lost(scene(risk(DATA, new, was=container(DATA, new)), "shop_data"), full)
    there = container(DATA, memory=("/data/sub",))
    assert not lost(scene(risk(DATA, new, was=there), "shop_data"), full)
    scratch = replace(new, target="/data/cache")
    assert not lost(scene(risk(DATA, scratch, was=container(DATA)), "shop_data"), holds("/data/cache"))
    part = replace(DATA, target="/data/sub", inner="sub")
    assert not lost(scene(risk(DATA, part, was=container(DATA)), "shop_data"), full)
    copied = Held("bind", "/srv/x", "/data/sub")
    moved = scene(risk(DATA, copied, was=container(DATA)), "shop_data")
    assert not lost(moved, replace(full, sources={"/srv/x": "full"}))
    assert lost(moved, replace(full, sources={"/srv/x": "empty"}))


def test_a_volume_that_another_service_mounts_is_not_missed() -> None:
    assert not lost(scene(risk(was=container(DATA)), "shop_data"), holds())
    assert not lost(scene(risk(was=container(DATA), gone=True), "shop_data"), holds())
    assert lost(scene(risk(was=container(DATA), gone=True)), holds())


def test_a_volume_of_one_container_too_many_is_not_missed_where_the_files_stay() -> None:
    """As after a rolling switch that was interrupted: the release in place has two containers."""
    one = risk(was=container(DATA), gone=True)
    two = scene(one, mounted=None)
    assert lost(two, holds())
    stays = replace(one.goes[0], id="another")
    assert not lost(replace(two, facts=replace(two.facts, containers=(*one.goes, stays))), holds())


def test_what_is_only_read_is_somebody_elses() -> None:
    assert not lost(scene(risk(was=container(replace(DATA, writable=False)))), holds())


def test_an_empty_volume_is_no_loss() -> None:
    assert not lost(scene(risk(was=container(DATA))), holds(full=False))


def test_compose_hands_a_volume_without_a_name_on_where_the_image_or_the_file_has_one_there() -> None:
    what = scene(risk(was=container(NAMELESS)))
    assert not lost(what, replace(holds(), volumes={"sha256:1": frozenset({"/data/"})}))
    assert "volume without a name (/data), which recreating it would leave behind" in lost(
        what, replace(holds(), volumes={"sha256:1": frozenset({"/other"})})
    )
    assert not lost(scene(risk(Held("volume", "", "/data"), was=container(NAMELESS))), holds())
    assert not asked(scene(risk(Held("volume", "", "/data"), was=container(NAMELESS))))


def test_another_image_may_have_its_volume_elsewhere() -> None:
    new = Image.parse("h/web:2@sha256:" + "b" * 64)
    what = scene(risk(was=container(NAMELESS), image=new), pulled=True)
    assert "leave behind" in lost(what, replace(holds(), volumes={str(new): frozenset({"/moved"})}))
    assert not lost(what, replace(holds(), volumes={str(new): frozenset({"/data"})}))
    # Until it is pulled, it counts as like the one before; and it is said that it has a say.
    look = Look(replace(holds(), volumes={"sha256:1": frozenset({"/data"})}))
    assert not losses(replace(what, pulled=False), look)
    assert look.lacking == {new}


def test_a_volume_without_a_name_is_left_behind_where_another_takes_its_place_or_the_container_goes() -> None:
    assert "as the volume x would take its place" in lost(
        scene(risk(Held("volume", "x", "/data"), was=container(NAMELESS)), "x"), holds()
    )
    assert "removing it would leave behind" in lost(scene(risk(was=container(NAMELESS), gone=True)), holds())


def test_what_is_not_sure_to_be_recreated_costs_no_question_where_nothing_of_it_has_changed() -> None:
    kept = risk(was=container(NAMELESS, image=PG), sure=False, rewritten=False, image=PG)
    pg = risk(
        Held("volume", "v", "/var/lib/postgresql/data"),
        was=container(Held("volume", "v", "/var/lib/postgresql/data"), image=PG),
        sure=False,
        rewritten=False,
        image=PG,
    )
    for each in (kept, pg):
        assert asked(scene(each, "v")) in (
            Question(),
            Question(files=(("c1", "/var/lib/postgresql/data/PG_VERSION"),)),
        )
    assert not asked(scene(pg, "v"))


# --- directories of the host --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "found", "said"),
    [
        ((ROWS,), {}, ""),
        (
            (Held("bind", "/opt/shop/other", "/rows"),),
            {"/opt/shop/other": "missing"},
            "/opt/shop/other there, which is empty",
        ),
        ((Held("bind", "/opt/shop/other", "/rows"),), {"/opt/shop/other": "empty"}, "which is empty"),
        ((Held("bind", "/opt/shop/other", "/rows"),), {"/opt/shop/other": "full"}, ""),
        (
            (Held("volume", "v", "/rows"),),
            {},
            "web has /opt/shop/rows at /rows, and would have the volume v there",
        ),
        ((replace(ROWS, target="/srv"),), {"/opt/shop/rows": "full"}, "and would have it at /srv"),
        ((replace(ROWS, target="/srv"),), {"/opt/shop/rows": "file"}, ""),
        ((), {"/opt/shop/rows": "full"}, "at /rows, which no service would mount any more"),
        ((), {"/opt/shop/rows": "file"}, ""),
        ((), {"/opt/shop/rows": "empty"}, ""),
        # The same directory, through one above it; and another one.
        ((Held("bind", "/opt", "/"),), {}, "and would have /opt/rows there, which is empty"),
        ((Held("bind", "/opt/shop", "/"),), {}, ""),
        ((Held("tmpfs", "", "/"),), {}, "and would have memory there"),
    ],
)
def test_a_directory_of_the_host_stays_where_it_is_or_is_missed(
    after: tuple[Held, ...], found: dict[str, str], said: str
) -> None:
    what = scene(risk(*after, was=container(ROWS)))
    known = replace(holds("/rows"), sources=found)
    assert (said in lost(what, known)) if said else not lost(what, known)


@pytest.mark.parametrize(
    "held",
    [
        Held("bind", "/opt/shop/conf", "/rows"),
        replace(ROWS, writable=False),
        Held("bind", "/var/run/docker.sock", "/rows"),
        Held("bind", "/", "/rows"),
    ],
)
def test_what_is_shipped_read_or_the_systems_own_is_no_data(held: Held) -> None:
    what = scene(
        risk(Held("bind", "/srv/y", "/rows"), was=container(held)), shipped=frozenset({"conf/a.conf"})
    )
    assert not lost(what, replace(holds("/rows"), sources={"/srv/y": "empty"})).replace("web would get", "")


def test_a_directory_that_docker_would_make_is_refused_for_a_service_that_was_here_before() -> None:
    new = Held("bind", "/mnt/share", "/share")
    what = scene(risk(new))
    said = "web would get /mnt/share at /share, which is not on the host: Docker would make it, empty"
    assert lost(what, Found(sources={"/mnt/share": "missing"})) == said
    assert not lost(what, Found(sources={"/mnt/share": "empty"}))
    assert not lost(scene(risk(new, goes=(), new=True)), Found(sources={"/mnt/share": "missing"}))
    assert not asked(scene(risk(new, was=container(new))))


def test_what_a_stack_has_filled_itself_is_missed_where_its_container_is_gone_too() -> None:
    own = Held("bind", "/opt/shop/rows", "/rows")
    missing = Found(sources={"/opt/shop/rows": "missing"})
    assert "would get /opt/shop/rows at /rows" in lost(scene(risk(own, goes=())), missing)
    assert not lost(scene(risk(own)), missing)
    assert not lost(scene(risk(own, goes=()), shipped=frozenset({"rows/a"})), missing)


# --- databases ----------------------------------------------------------------------------------------------

HERE, THERE = "/var/lib/postgresql/data", "/home/postgres/pgdata/data"
VOLUME = Held("volume", "shop_pg", HERE)


def database(*after: Held, was: tuple[Held, ...] = (VOLUME,), image: Image = PG, **more: object) -> Risk:
    more = {"image": image, "called": image, **more}
    return risk(*after, was=container(*was, image=PG), service="db", **more)


def with_database(where: str = HERE, number: bytes = b"17\n", **variables: str) -> Found:
    return Found(
        files={("c1", f"{where}/PG_VERSION"): number},
        held={("c1", where): True, ("c1", HERE): True},
        variables={"c1": variables, "sha256:1": variables},
    )


def test_a_database_in_its_containers_own_layer_counts_from_the_first_byte() -> None:
    what = scene(database(VOLUME), "shop_pg", layer=50 * MIB)
    found = with_database(THERE, PGDATA=THERE)
    assert lost(what, found) == f"db keeps 50 MiB in its own layer ({THERE}), which recreating it would lose"
    assert "db keeps 1 MiB" in lost(scene(database(VOLUME), "shop_pg", layer=5), found)
    assert not lost(scene(database(VOLUME), "shop_pg"), with_database())


def test_a_database_that_is_only_looked_at_by_another_service_is_missed() -> None:
    where = "/var/lib/postgresql/data"
    held = Held("volume", "rows", where)
    was = container(held, image=PG)
    known = replace(holds(where), files={("c1", f"{where}/PG_VERSION"): b"17\n"})
    assert "and would have nothing there" in lost(scene(risk(was=was), "rows"), known)
    other = risk(replace(held, source="other"), was=was)
    assert "and would have the volume other there" in lost(scene(other, "rows", "other"), known)
    part = risk(replace(held, inner="new"), was=was)
    assert "would look for it at /var/lib/postgresql/data (in the volume rows: new)" in lost(
        scene(part, "rows"), known
    )


def test_where_a_database_is_the_command_of_its_container_says_too() -> None:
    found = replace(with_database("/x"), variables={"c1": {"-D": "/x"}, "sha256:1": {}})
    assert "in its own layer (/x)" in lost(scene(database(VOLUME), "shop_pg"), found)


def test_a_program_that_has_no_database_there_is_none() -> None:
    assert not lost(scene(database(was=())), Found(variables={"c1": {}}))


@pytest.mark.parametrize(
    ("after", "more", "said"),
    [
        ((replace(VOLUME, target="/srv"),), {}, "nothing is mounted at /var/lib/postgresql/data"),
        ((replace(VOLUME, target="/srv"),), {"environment": {"PGDATA": "/srv"}}, ""),
        ((replace(VOLUME, target="/var/lib/postgresql"),), {}, "and would look for it at"),
        ((VOLUME,), {"environment": {"PGDATA": f"{HERE}/17"}}, f"would look for it at {HERE}/17"),
        ((VOLUME,), {"command": ("postgres", "-D", "/x")}, "nothing is mounted at /x"),
        ((VOLUME,), {"command": ("postgres", "-D", HERE)}, ""),
        ((Held("bind", "/srv/pg", HERE),), {}, "/srv/pg"),
        ((), {}, "the volume shop_pg at /var/lib/postgresql/data, which no service would mount any more"),
    ],
)
def test_a_database_is_found_again_or_missed(
    after: tuple[Held, ...], more: dict[str, object], said: str
) -> None:
    found = lost(scene(database(*after, **more)), replace(with_database(), sources={"/srv/pg": "empty"}))
    assert (said in found) if said else not found


@pytest.mark.parametrize("mounted", [VOLUME, Held("bind", "/srv/pg", HERE), replace(NAMELESS, target=HERE)])
def test_data_of_another_version_are_refused_with_the_way_to_go(mounted: Held) -> None:
    newer = Image.parse("postgres:18@sha256:" + "c" * 64)
    after = replace(mounted, source="") if mounted.anonymous else mounted
    what = scene(database(after, was=(mounted,), image=newer), "shop_pg")
    found = losses(what, Look(with_database()))
    assert [loss.problem for loss in found] == [
        "db: PostgreSQL 18 does not read what PostgreSQL 17 has written"
    ]
    assert "pg_dumpall" in found[0].hint
    assert 'accept_loss = ["db"]' in found[0].hint


def test_a_database_that_is_upgraded_as_it_starts_is_a_warning_for_nothing_could_go_back() -> None:
    where, old, new = "/var/lib/mysql", Image.parse("mysql:8.0"), Image.parse("mysql:8.4@sha256:" + "c" * 64)
    held = Held("volume", "rows", where)
    known = Found(files={("c1", f"{where}/mysql_upgrade_info"): b"8.0.36"})
    what = scene(risk(held, was=container(held, image=old), service="db", image=new, called=new), "rows")
    (loss,) = losses(what, Look(known))
    assert loss.problem.endswith(
        "upgrades what MySQL 8.0 has written, which the image before does not read: a failure cannot go back to it"
    )
    assert [check.result for check in check_data(build.node(), [loss])] == ["warning"]


def test_a_volume_whose_container_is_gone_has_a_version_too() -> None:
    what = scene(risk(VOLUME, goes=(), service="db", image=PG, called=PG), "shop_pg")
    assert "PostgreSQL 17 does not read what PostgreSQL 15" in lost(
        what, Found(stored={("shop_pg", "PG_VERSION"): b"15\n"})
    )
    assert not lost(what, Found(stored={("shop_pg", "PG_VERSION"): b"17\n"}))


def test_a_new_database_that_nothing_would_keep_is_a_warning_once_its_image_is_known() -> None:
    what = scene(risk(goes=(), service="db", image=PG, called=PG, new=True), pulled=True)
    known = Found(variables={"postgres:17": {"PGDATA": THERE}}, volumes={"postgres:17": frozenset({HERE})})
    (check,) = check_data(what.node, losses(what, Look(known)))
    assert (check.result, check.problem) == (
        "warning",
        f"db would keep its database in its own layer: nothing is mounted at {THERE}",
    )
    assert not lost(what, replace(known, variables={"postgres:17": {"PGDATA": HERE}}))
    look = Look(Found())
    assert not losses(replace(what, pulled=False), look)
    assert look.lacking == {PG}


def test_an_image_without_a_name_is_what_the_compose_file_calls_it() -> None:
    image = Image.parse("sha256:" + "d" * 64)
    what = scene(database(VOLUME, image=image, called=Image.parse("postgres:18")), "shop_pg")
    assert "PostgreSQL 18 does not read" in lost(what, with_database())


# --- the project --------------------------------------------------------------------------------------------


def test_a_project_that_has_another_name_in_this_directory_has_other_volumes() -> None:
    one = risk(Held("volume", "shop-1_data", "/data"), goes=(), new=True)
    found = Found(projects={"shop": frozenset({"shop_data", "/srv/x", "a" * 64})})
    (loss,) = losses(scene(one, "shop-1_data"), Look(found))
    assert "the project in /opt/shop is shop, and would be shop-1" in loss.problem
    assert "the volume shop-1_data in place of shop_data" in loss.problem
    assert 'project = "shop"' in loss.hint
    assert asked(scene(one, "shop-1_data")).directory == PurePosixPath("/opt/shop")
    assert not lost(scene(one, "shop-1_data"), Found(projects={"shop": frozenset({"shop_other"})}))


def test_a_project_whose_containers_are_here_has_its_name() -> None:
    assert asked(scene(risk())).directory is None


# --- the checks ---------------------------------------------------------------------------------------------


def test_each_loss_is_a_check_of_its_own_and_one_that_is_accepted_a_warning() -> None:
    node = build.node(accept_loss=("db",))
    found = list(check_data(node, [Loss("db", "a", "x"), Loss("web", "b", "y"), Loss("web", "b", "y")]))
    assert [(c.result, c.problem) for c in found] == [("warning", "a"), ("failed", "b")]
    assert [c.result for c in check_data(node, [])] == ["ok"]
    assert all(isinstance(c, Check) and c.name == "data" for c in found)


def test_the_hint_names_a_backup_only_where_one_can_be_made() -> None:
    backup = Backup(name="rows", service="web", command=("a",), check=("b",), restore=("c",))
    facts = Facts(history=(event("proven", Release("r1", "t", None, {}, {})),))
    what = scene(risk(), layer=50 * MIB)
    kept = replace(what, node=build.node(backups=(backup,)), facts=replace(what.facts, history=facts.history))
    (by_hand,) = losses(what, Look(Found()))
    (by_task,) = losses(kept, Look(Found()))
    assert "docker cp shop-1-web-1:PATH TO" in by_hand.hint
    assert "back it up (invoke backup), mount a volume there, or accept it" in by_task.hint
