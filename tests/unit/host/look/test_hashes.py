import subprocess

from deploy_lib.host.look.hashes import hashes_script
from tests.unit import build


def test_the_script_reads_what_is_not_in_place_and_resolves_paths_as_if_it_were() -> None:
    text = hashes_script(build.stack())
    assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True).stderr == ""
    assert "--project-directory /opt/shop" in text
    assert '-f "$t"/compose.yml -f "$t"/release.yml' in text
