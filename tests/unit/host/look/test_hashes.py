import subprocess

from deploy_lib.compose.command import mirror
from deploy_lib.host.look.hashes import hashes_script, read_hashes
from tests.unit import build


def test_each_project_is_hashed_in_the_same_place() -> None:
    project = build.stack().project
    text = hashes_script([project, project])
    assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True).stderr == ""
    assert text.count(f"--project-directory {mirror(project)} -f {mirror(project)}/compose.yml") == 2


def test_hashes_are_read_by_service() -> None:
    assert read_hashes("web aa\n\ndb bb\n") == {"web": "aa", "db": "bb"}
