"""The workflows of .github: what every checker says of them, and that they and the deployment mean the same."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy_lib.config import load, read
from lab import pipeline
from lab.project import read as read_project
from tests import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


def workflow(name: str) -> dict[str, Any]:
    data: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    # YAML 1.1 takes the key `on` for a truth value.
    return {"on" if key is True else key: value for key, value in data.items()}


def jobs() -> Iterator[Any]:
    for path in WORKFLOWS:
        for name, job in workflow(path.stem)["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


def steps(job: dict[str, Any], uses: str = "") -> list[dict[str, Any]]:
    return [step for step in job.get("steps", []) if step.get("uses", "").startswith(uses)]


each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
each_job = pytest.mark.parametrize("job", [*jobs()])


def check(*command: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


ZIZMOR = ("zizmor", "--offline", "--no-progress", "--quiet", "--persona", "pedantic", ".github")
ACTIONLINT = ("actionlint", *(f".github/workflows/{path.name}" for path in WORKFLOWS))
SCHEMA = ("check-jsonschema", "--builtin-schema")
CHECKERS = {
    "zizmor": ZIZMOR,
    "actionlint": ACTIONLINT,
    "workflows' schema": (*SCHEMA, "vendor.github-workflows", *ACTIONLINT[1:]),
    "dependabot's schema": (*SCHEMA, "vendor.dependabot", ".github/dependabot.yml"),
}
"""As `invoke lint` runs them: without the network."""


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_finds_nothing(checker: str) -> None:
    done = check(*CHECKERS[checker])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("checker", "file", "before", "after"),
    [
        ("zizmor", "deploy.yml", "run: scripts/run true", "run: echo ${{ inputs.tag }}"),
        ("zizmor", "ci.yml", "persist-credentials: false", "fetch-depth: 2"),
        ("zizmor", "ci.yml", "@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "@v6"),
        (
            "actionlint",
            "build-images.yml",
            "matrix.image }}\n          DEPLOY",
            "matrix.imge }}\n          DEPLOY",
        ),
        ("actionlint", "ci.yml", "run: scripts/run invoke lint", "run: if true; then"),
        ("workflows' schema", "ci.yml", "timeout-minutes: 15", "timeout_minutes: 15"),
        ("dependabot's schema", "../dependabot.yml", "interval: weekly", "interval: sometimes"),
    ],
)
def test_a_checker_finds_what_is_wrong(
    tmp_path: Path, checker: str, file: str, before: str, after: str
) -> None:
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    path = tmp_path / ".github" / "workflows" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    (tmp_path / ".git").mkdir()  # what makes a folder a project for actionlint
    done = check(*CHECKERS[checker], root=tmp_path)
    assert done.returncode != 0, done.stdout + done.stderr


@each_workflow
def test_an_action_is_pinned_by_its_commit_with_its_version_beside_it(path: Path) -> None:
    used = [line.strip() for line in path.read_text().splitlines() if re.match(r"\s*(- )?uses: [^.]", line)]
    assert used
    for line in used:
        assert re.fullmatch(r"(- )?uses: [\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_one_action_has_one_commit_everywhere() -> None:
    text = "".join(path.read_text() for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v\S+)", text))
    assert len(pins) == len({action for action, _ in pins}), pins


@each_workflow
def test_a_workflow_has_no_permission_that_its_jobs_do_not_ask_for(path: Path) -> None:
    assert workflow(path.stem)["permissions"] == {}


@each_job
def test_a_job_has_the_least_permissions_and_an_end(job: dict[str, Any]) -> None:
    writes = {name for name, level in job["permissions"].items() if level != "read"}
    pushes = any("REGISTRY_PASSWORD" in step.get("env", {}) for step in steps(job))
    assert writes == ({"packages"} if pushes else set())
    assert "uses" in job or job["timeout-minutes"]


@each_job
def test_a_checkout_leaves_no_token_behind(job: dict[str, Any]) -> None:
    for step in steps(job, "actions/checkout"):
        assert step["with"]["persist-credentials"] is False


@each_job
def test_a_secret_reaches_one_step_and_no_command_line(job: dict[str, Any]) -> None:
    assert "secrets." not in str(job.get("env", "")) + str(job.get("runs-on", ""))
    for step in steps(job):
        assert "${{" not in step.get("run", "")
        assert "secrets." not in str(step.get("with", ""))


# --- The images that are pushed are those that are pulled ---


def image_job() -> dict[str, Any]:
    job: dict[str, Any] = workflow("build-images")["jobs"]["image"]
    return job


def pulled() -> set[str]:
    """What the Compose files pull from the project's own registry, at a commit of all ones, and without a tag."""
    own = [name for name in read_project(ROOT).image_names if "${IMAGE_REGISTRY" in name]
    found = set()
    for tag in ("sha-1111111", "latest"):
        for name in own:
            tagged = re.sub(r"\$\{IMAGE_TAG:-latest\}", tag, name)
            found.add(re.sub(r"\$\{IMAGE_REGISTRY:-([^}]*)\}", r"\1", tagged))
    assert not any("$" in name for name in found), found
    return found


def test_each_image_of_the_matrix_has_a_dockerfile_and_each_own_image_is_in_it() -> None:
    matrix = image_job()["strategy"]["matrix"]["image"]
    assert set(matrix) == set(pipeline.own_images(ROOT))
    for name in matrix:
        assert pipeline.own_image(ROOT, name).dockerfile == ROOT / "docker" / name / "Dockerfile"
        assert (ROOT / "docker" / name / "Dockerfile").is_file()


def test_what_is_pushed_is_what_the_compose_files_pull() -> None:
    homelab = load(ROOT, "homelab")
    tag = homelab.versions.tag_of("1" * 40)
    assert tag == "sha-1111111"
    pushed = {
        f"{homelab.image_registry}/{image.repository}:{name}"
        for image in pipeline.own_images(ROOT).values()
        for name in (tag, "latest", *([image.fixed] if image.fixed else []))
    }
    assert pulled() <= pushed


def test_images_go_to_the_registry_that_the_homelab_pulls_from() -> None:
    for name in ("image", "latest"):
        (step,) = [
            s
            for s in steps(workflow("build-images")["jobs"][name])
            if "REGISTRY_PASSWORD" in s.get("env", {})
        ]
        assert step["env"]["DEPLOY_ENV"] == "homelab"
        assert step["env"]["REGISTRY_PASSWORD"] == "${{ secrets.GITHUB_TOKEN }}"
        assert "--tag" not in step["run"]  # the checkout's commit, as a deployment names it
    assert load(ROOT, "homelab").registry_host == "ghcr.io"


def test_both_platforms_are_built_and_attested() -> None:
    (step,) = [s for s in steps(image_job()) if "publish-image" in s.get("run", "")]
    assert "--platforms linux/amd64,linux/arm64" in step["run"]
    assert "--cache" in step["run"]
    assert "--bare" not in step["run"]


def test_nothing_is_pushed_before_the_tests_have_passed_or_from_another_branch() -> None:
    flow = workflow("build-images")
    assert flow["on"] == {"push": {"branches": ["main"]}, "workflow_dispatch": None}
    assert flow["jobs"]["tests"]["uses"] == "./.github/workflows/ci.yml"
    assert flow["jobs"]["tests"]["if"] == "github.ref == 'refs/heads/main'"
    assert flow["jobs"]["image"]["needs"] == "tests"
    assert flow["jobs"]["latest"]["needs"] == "image"
    for job in flow["jobs"].values():
        # A job with a condition of its own would run although one before it failed or was left out.
        assert "always()" not in str(job.get("if", ""))


def test_latest_is_moved_by_one_run_at_a_time_which_looks_at_main_as_it_then_is() -> None:
    job = workflow("build-images")["jobs"]["latest"]
    assert job["concurrency"] == {"group": "images-latest", "cancel-in-progress": False}
    (checkout,) = steps(job, "actions/checkout")
    assert checkout["with"]["ref"] == "main"
    # As many as a deployment looks through: deploy_lib.source.git.CANDIDATES.
    assert checkout["with"]["fetch-depth"] == 20
    assert load(ROOT, "homelab").follows == "origin/main"


def test_every_folder_of_tests_is_run() -> None:
    folders = {path.parent.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    commands = [
        step["run"] for job in workflow("ci")["jobs"].values() for step in steps(job) if "run" in step
    ]
    run = {
        name for command in commands if "pytest" in command for name in re.findall(r"tests/(\w+)", command)
    }
    assert run == folders
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("scripts/run invoke test")


def test_the_tests_of_main_are_never_ended_by_a_newer_commit_s() -> None:
    group = workflow("ci")["concurrency"]["group"]
    assert group == "ci-${{ github.event.pull_request.number || github.run_id }}"


# --- Deployments ---


def test_what_can_be_deployed_by_hand_is_what_deploy_toml_has() -> None:
    flow = workflow("deploy")
    inputs = flow["on"]["workflow_dispatch"]["inputs"]
    file = read(ROOT)
    assert set(inputs["stack"]["options"]) == {"all", *file.stacks}
    assert set(inputs["environment"]["options"]) == set(file.environments) - {"lab"}
    assert flow["on"]["release"] == {"types": ["published"]}


def test_deployments_come_one_after_the_other_and_are_not_ended_half_way() -> None:
    flow = workflow("deploy")
    assert flow["concurrency"]["cancel-in-progress"] is False
    assert flow["concurrency"]["group"] == "deploy-${{ inputs.environment || 'homelab' }}"
    assert flow["jobs"]["deploy"]["environment"] == "${{ inputs.environment || 'homelab' }}"


# --- Dependabot ---


def test_dependabot_sees_packages_actions_and_every_base_image() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    kinds = {update["package-ecosystem"]: update for update in updates}
    assert {"uv", "github-actions", "docker"} <= set(kinds)
    folders = {f"/{path.parent.relative_to(ROOT)}" for path in (ROOT / "docker").glob("*/Dockerfile")}
    assert set(kinds["docker"]["directories"]) == folders
    for path in (ROOT / "docker").glob("*/Dockerfile"):
        # It reads what stands after FROM, and follows no argument.
        lines = re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE)
        assert re.fullmatch(r"[a-z/]+:\S*\d\S*|[a-z]+:trixie-slim", lines[0]), lines
        assert not any("$" in line for line in lines)
