import subprocess
from pathlib import Path

from deploy_lib.operations import hashes
from deploy_lib.topology import load

NODE = load(Path(__file__).resolve().parents[3], "lab").nodes["core"]


def test_the_script_reads_what_is_not_in_place_and_resolves_paths_as_if_it_were() -> None:
    text = hashes.script(NODE, "ktrdr-core")
    assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True).stderr == ""
    assert "--project-directory /opt/ktrdr-core" in text
    assert '-f "$t"/docker-compose.core.yml -f "$t"/release.yml' in text
    assert hashes.inputs(NODE) == ["docker-compose.core.yml", ".env.core", "release.yml", "release.env"]
