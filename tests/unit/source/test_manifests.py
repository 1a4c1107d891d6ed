import json

import pytest

from deploy_lib.source.manifests import Index, Manifest, SavedList, read

DIGEST = f"sha256:{'a' * 64}"


def test_what_leads_to_a_file_has_its_digest_and_its_size() -> None:
    text = json.dumps({"manifests": [{"mediaType": "m", "digest": DIGEST, "size": 1, "more": {}}]})
    (found,) = read(text.encode(), Index).manifests
    assert (found.digest, found.size, found.media) == (DIGEST, 1, "m")


def test_an_image_without_a_name_has_none() -> None:
    (saved,) = read(b'[{"Config": "c", "Layers": [], "RepoTags": null}]', SavedList)
    assert saved.tags == ()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[" * 100_000,
        b'{"manifests": ' + b'[{"x": ' * 50_000,
        b"\xff\xfe",
        b'{"manifests": [{"digest": "sha256:../../x", "size": 1}]}',
        json.dumps({"manifests": [{"digest": f"{DIGEST}\n", "size": 1}]}).encode(),
        json.dumps({"manifests": [{"digest": f"x{DIGEST}", "size": 1}]}).encode(),
        json.dumps({"manifests": [{"digest": DIGEST, "size": -1}]}).encode(),
        json.dumps({"manifests": [{"digest": DIGEST}]}).encode(),
        b'{"manifests": [{"digest": "\xff", "size": 1}]}',
    ],
)
def test_what_makes_no_sense_is_refused_in_words(text: bytes) -> None:
    for kind in (Index, Manifest):
        with pytest.raises(ValueError, match=r"\w"):
            read(text, kind)
