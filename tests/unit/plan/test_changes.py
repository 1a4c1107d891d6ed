from deploy_lib.plan.changes import Change, along
from tests.unit.plan.test_plan import OLD


def test_who_is_part_of_a_container_is_made_anew_with_it() -> None:
    changes = [
        Change(name, action, OLD)
        for name, action in (("inner", "keep"), ("other", "keep"), ("vpn", "recreate"), ("web", "start"))
    ]
    joins = {"inner": ["web"], "web": ["vpn"], "other": ["nobody"]}
    found = {change.service: (change.action, change.why) for change in along(changes, joins)}
    assert found == {
        "inner": ("recreate", "it is part of web"),
        "other": ("keep", ""),
        "vpn": ("recreate", ""),
        "web": ("recreate", "it is part of vpn"),
    }


def test_what_depends_on_a_service_is_made_anew_with_it_where_compose_does_so() -> None:
    changes = [
        Change(name, action, OLD)
        for name, action in (("app", "keep"), ("db", "recreate"), ("inner", "keep"), ("top", "keep"))
    ]
    needs, joins = {"app": ["db"], "top": ["app"]}, {"inner": ["top"]}
    made = {
        change.service: change.why for change in along(changes, joins, needs) if change.action == "recreate"
    }
    assert made == {
        "app": "it depends on db, and this version of Compose makes it anew, too",
        "db": "",
        "inner": "it is part of top",
        "top": "it depends on app, and this version of Compose makes it anew, too",
    }
    assert [change.action for change in along(changes, joins)] == ["keep", "recreate", "keep", "keep"]
