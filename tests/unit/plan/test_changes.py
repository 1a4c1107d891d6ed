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
