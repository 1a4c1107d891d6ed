from deploy_lib.secrets.fingerprint import as_text, fingerprints, read_marks
from deploy_lib.secrets.value import Secret

USED = {"web": ("A", "B"), "db": ()}


def test_fingerprints_differ_by_key_name_and_value_and_do_not_show_it() -> None:
    same = {"A": Secret("value-1"), "B": Secret("value-1")}
    first = fingerprints(USED, same, "key")
    assert set(first) == {"web"}
    marks = read_marks(first["web"])
    assert set(marks) == {"A", "B"}
    assert marks["A"] != marks["B"]
    assert fingerprints(USED, same, "other key") != first
    assert fingerprints(USED, same, "key") == first
    assert fingerprints(USED, {**same, "B": Secret("value-2")}, "key") != first
    assert "value-1" not in str(first)


def test_they_are_those_of_hosts_deployed_before() -> None:
    # The first 20 digits of HMAC-SHA256(key, "A\0value-1"): another one would recreate every container.
    assert fingerprints({"web": ("A",)}, {"A": Secret("value-1")}, "key") == {"web": "A=ab7d1f1b466a88c75085"}


def test_as_text_they_come_back() -> None:
    assert read_marks(as_text({"A": "1", "B": "2"})) == {"A": "1", "B": "2"}
    assert read_marks("") == {}
