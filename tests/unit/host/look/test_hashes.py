import subprocess

from deploy_lib.config import load
from deploy_lib.host.look import hashes
from tests import ROOT

NODE = load(ROOT, "lab").nodes["core"]


def test_the_script_reads_what_is_not_in_place_and_resolves_paths_as_if_it_were() -> None:
    text = hashes.script(NODE, "ktrdr-core")
    assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True).stderr == ""
    assert "--project-directory /opt/ktrdr-core" in text
    assert '-f "$t"/docker-compose.core.yml -f "$t"/release.yml' in text
    assert hashes.inputs(NODE) == ["docker-compose.core.yml", ".env.core", "release.yml", "release.env"]
