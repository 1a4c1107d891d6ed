"""Content: what an engine is given beside the layers."""

import json

from deploy_lib.release.content import Content, Layer, blob, sha256
from deploy_lib.values import replace
from tests.unit.made import config

PLAIN = [b"base", b"middle", b"top"]
LAYERS = tuple(Layer(sha256(each), sha256(each), len(each)) for each in PLAIN)
CONTENT = Content(config(PLAIN), "linux/amd64", LAYERS)
TAG = "h.example/keep:1"


def test_layers_are_shared_from_the_lowest_on() -> None:
    diffs = [each.diff for each in LAYERS]
    assert [CONTENT.shared(other) for other in ([], diffs[:2], diffs, [*diffs, "sha256:more"])] == [
        0,
        2,
        3,
        3,
    ]
    assert CONTENT.shared([diffs[1], diffs[2]]) == 0
    assert CONTENT.shared([diffs[0], "sha256:other", diffs[2]]) == 1


def test_its_manifest_is_the_same_for_the_same_layers() -> None:
    packed = replace(
        LAYERS[0], digest=sha256(b"packed"), size=6, media="application/vnd.oci.image.layer.v1.tar+gzip"
    )
    other = CONTENT.beginning_with([packed])
    assert other.layers == (packed, *LAYERS[1:])
    assert other.manifest != CONTENT.manifest
    assert other.digest == CONTENT.digest == sha256(CONTENT.config)
    assert replace(CONTENT).manifest == CONTENT.manifest
    assert CONTENT.beginning_with(()) == CONTENT
    assert CONTENT.size == sum(len(each) for each in PLAIN)


def test_the_classic_store_is_told_of_paths() -> None:
    files = CONTENT.for_classic(TAG)
    assert files[blob(CONTENT.digest)] == CONTENT.config
    (listed,) = json.loads(files["manifest.json"])
    assert listed == {
        "Config": blob(CONTENT.digest),
        "RepoTags": [TAG],
        "Layers": [blob(each.digest) for each in LAYERS],
    }


def test_containerds_store_is_told_of_digests() -> None:
    files = CONTENT.for_containerd(TAG)
    (named,) = json.loads(files["index.json"])["manifests"]
    assert named["annotations"] == {"io.containerd.image.name": TAG}
    manifest = files[blob(named["digest"])]
    assert sha256(manifest) == named["digest"]
    assert len(manifest) == named["size"]
    read = json.loads(manifest)
    assert read["config"]["digest"] == CONTENT.digest
    assert [(each["digest"], each["size"]) for each in read["layers"]] == [
        (each.digest, each.size) for each in LAYERS
    ]
    assert set(files) == {"oci-layout", "index.json", blob(named["digest"]), blob(CONTENT.digest)}
