from deploy_lib.operations.references import keep_tag, without_tag

DIGEST = "sha256:" + "a" * 64


def test_the_tag_of_a_pinned_reference_is_dropped_and_a_port_is_not() -> None:
    assert without_tag(f"prom/prometheus:v2@{DIGEST}") == f"prom/prometheus@{DIGEST}"
    assert without_tag(f"h:5443/o/x:1@{DIGEST}") == f"h:5443/o/x@{DIGEST}"
    assert without_tag(f"h:5443/o/x@{DIGEST}") == f"h:5443/o/x@{DIGEST}"
    assert without_tag(DIGEST) == DIGEST


def test_an_image_has_one_protecting_tag_under_whatever_tag_it_came() -> None:
    assert keep_tag(f"o/x:1@{DIGEST}") == keep_tag(f"o/x:2@{DIGEST}")
    assert keep_tag(DIGEST) != keep_tag("sha256:" + "b" * 64)
