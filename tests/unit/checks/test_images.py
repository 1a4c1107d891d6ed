import pytest

from deploy_lib.checks import check_images
from deploy_lib.checks.images import check_login, is_missing
from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.secrets.value import Secret
from deploy_lib.values import replace

REFERENCE, DIGEST = Image("r.example:5443/k/web", "1"), f"sha256:{'a' * 64}"
RELEASE = Release("r1", "1", None, {"web": REFERENCE.with_digest(DIGEST), "adopted": Image("x", "1")}, {})
HOST = Facts(platform="linux/amd64")
SETTLED = replace(
    HOST,
    images={f"r.example:5443/k/web@{DIGEST}": "sha256:id"},
    history=(event("proven", RELEASE),),
)
LOGIN = Login("r.example:5443", "me", Secret("password"))

DOWN = Manifest(REFERENCE, problem="dial tcp 10.0.0.1:5443: connection refused", status=500)
UNKNOWN = Manifest(REFERENCE, problem="manifest unknown", status=404)
REFUSED = Manifest(REFERENCE, problem="unauthorized", status=401)
FOREIGN_CA = Manifest(REFERENCE, problem="x509: certificate signed by unknown authority", status=500)
PROXY = Manifest(REFERENCE, problem="connect: permission denied", status=500)
THERE = Manifest(REFERENCE, DIGEST, ("linux/amd64", "linux/arm64"))


@pytest.mark.parametrize(
    ("facts", "manifest", "result", "said"),
    [
        (HOST, THERE, "ok", ""),
        (
            HOST,
            replace(THERE, platforms=("linux/arm64",)),
            "failed",
            "is for linux/arm64, the host is linux/amd64",
        ),
        (HOST, replace(THERE, platforms=("linux/386",)), "ok", ""),
        (HOST, DOWN, "failed", "can the host reach the registry"),
        (SETTLED, DOWN, "warning", "the recorded one is on the host"),
        # "unknown" and "denied" have other meanings, too.
        (HOST, FOREIGN_CA, "failed", "/etc/docker/certs.d/r.example:5443/ca.crt"),
        (SETTLED, FOREIGN_CA, "warning", "the recorded one is on the host"),
        (SETTLED, PROXY, "warning", "the recorded one is on the host"),
        (HOST, UNKNOWN, "failed", "has CI built and pushed"),
        (SETTLED, UNKNOWN, "failed", "has CI built and pushed"),
        (HOST, REFUSED, "failed", "read:packages"),
    ],
)
def test_whether_an_image_can_be_had(facts: Facts, manifest: Manifest, result: str, said: str) -> None:
    (check,) = check_images(facts, {"web": manifest}, [LOGIN], "r.example:5443/k")
    assert (check.name, check.result) == ("image web:1", result)
    assert said in f"{check.problem} {check.hint}"
    assert result == "ok" or str(REFERENCE) in check.problem


@pytest.mark.parametrize(
    ("manifests", "result"),
    [
        ([THERE], "ok"),
        ([UNKNOWN], "ok"),
        ([REFUSED], "failed"),
        ([THERE, DOWN], "warning"),
        ([FOREIGN_CA], "warning"),
    ],
)
def test_a_refused_login_is_told_from_a_missing_image(manifests: list[Manifest], result: str) -> None:
    assert check_login(LOGIN, manifests).result == result


def test_only_a_registrys_own_word_says_that_an_image_is_missing() -> None:
    said = {True: (UNKNOWN,), False: (THERE, DOWN, REFUSED, FOREIGN_CA, PROXY)}
    for missing, manifests in said.items():
        assert {is_missing(manifest) for manifest in manifests} == {missing}
