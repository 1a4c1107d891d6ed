import json
import subprocess

from deploy_lib.host.look import sizes
from deploy_lib.host.look.registry import Login
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret

MANIFEST = {"config": {"size": 10}, "layers": [{"size": 1_000_000}, {"size": 500_000}]}


def variant(architecture: str, manifest: object, key: str = "OCIManifest") -> dict[str, object]:
    platform = {"os": "linux", "architecture": architecture}
    return {"Descriptor": {"platform": platform}, key: manifest}


def test_layers_of_the_hosts_platform_are_added_up() -> None:
    several = [variant("arm64", {"layers": [{"size": 7}]}), variant("amd64", MANIFEST)]
    text = (
        f"=== a\n{json.dumps(several, indent=1)}\n"
        f"=== b\n{json.dumps(variant('', MANIFEST, 'SchemaV2Manifest'))}\n"
        "=== unknown\n=== other\n"
    )
    assert sizes.read_sizes(text, "linux/amd64") == {"a": 1_500_010, "b": 1_500_010}
    assert sizes.read_sizes(text, "linux/s390x") == {"b": 1_500_010}


def test_a_size_that_no_registry_says_is_unknown() -> None:
    assert sizes.shown(None) == "size unknown"
    assert sizes.shown(1_500_010) == "1.5 MB"


def test_the_script_holds_no_password_and_sh_understands_it() -> None:
    script = sizes.sizes_script(
        [Image.parse("r.example/o/it's:1")], [Login("r.example", "me", Secret("the password"))]
    )
    assert "the password" not in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True).stderr == ""
