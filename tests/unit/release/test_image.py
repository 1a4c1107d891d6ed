from fnmatch import fnmatchcase

from deploy_lib.release.image import any_keep_tag, keep_tag, keep_tags, without_tag

DIGEST = "sha256:" + "a" * 64


def test_the_tag_of_a_pinned_reference_is_dropped_and_a_port_is_not() -> None:
    assert without_tag(f"prom/prometheus:v2@{DIGEST}") == f"prom/prometheus@{DIGEST}"
    assert without_tag(f"h:5443/o/x:1@{DIGEST}") == f"h:5443/o/x@{DIGEST}"
    assert without_tag(f"h:5443/o/x@{DIGEST}") == f"h:5443/o/x@{DIGEST}"
    assert without_tag(DIGEST) == DIGEST


def test_an_image_has_one_protecting_tag_under_whatever_tag_it_came() -> None:
    assert keep_tag("core", f"o/x:1@{DIGEST}") == keep_tag("core", f"o/x:2@{DIGEST}")
    assert keep_tag("core", DIGEST) != keep_tag("core", "sha256:" + "b" * 64)


def test_each_stack_of_a_host_has_protecting_tags_of_its_own() -> None:
    tags = {stack: keep_tag(stack, DIGEST) for stack in ("core", "core-2", "more-core")}
    assert all(tag.startswith(keep_tags(DIGEST)) for tag in tags.values())
    for stack, tag in tags.items():
        assert [other for other in tags.values() if fnmatchcase(other, any_keep_tag(stack))] == [tag]
