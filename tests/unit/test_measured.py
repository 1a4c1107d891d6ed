"""How a run measures what it runs of the library, in processes wherever they run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import measured
from tests.measured import NotEnoughError, Share


def run(script: str, parts: Path, cwd: Path, **more: str) -> None:
    parts.mkdir(exist_ok=True)
    env = {**os.environ, **measured.environment(parts), **more}
    subprocess.run([sys.executable, "-c", script], cwd=cwd, env=env, check=True)


def test_processes_add_up_wherever_they_run_and_what_none_imports_counts(tmp_path: Path) -> None:
    for module in ("names", "answers"):
        cwd = tmp_path / module
        cwd.mkdir()
        run(f"import deploy_lib.{module}", tmp_path / "parts", cwd)
        assert not [*cwd.iterdir()]
    shares = measured.combine(tmp_path / "parts", tmp_path / "combined")
    found = {share.name: share for share in shares}
    assert found["deploy_lib/names.py"].lines_run
    assert found["deploy_lib/answers.py"].lines_run
    assert found["deploy_lib/node/deployment.py"].lines_run == 0
    assert shares[0].name == "deploy_lib"
    assert shares[0].missed == sum(share.missed for share in shares[1:])
    with pytest.raises(NotEnoughError, match=r"of the lines and .* above 90 and 90 %$"):
        measured.demand(shares)
    assert len(measured.told(shares)) == 2 + measured.SHOWN


def test_another_version_of_the_library_does_not_count(tmp_path: Path) -> None:
    older = tmp_path / "older"
    (older / "deploy_lib").mkdir(parents=True)
    (older / "deploy_lib" / "__init__.py").write_text("OLD = True\n")
    run("import deploy_lib; assert deploy_lib.OLD", tmp_path / "parts", tmp_path, PYTHONPATH=str(older))
    with pytest.raises(NotEnoughError, match="no process has measured"):
        measured.combine(tmp_path / "parts", tmp_path / "combined")


def test_a_part_of_the_lab_s_tests_measures_what_it_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measuring(tests: list[str], *, sample: bool) -> int:
        for name, value in measured.environment(tmp_path, sample=sample).items():
            monkeypatch.setenv(name, value)
        found = 0
        for test in tests:
            measured.begin(test)
            found += measured.STARTS in os.environ
        return found

    lab = [f"tests/lab/test_deploy.py::test_{number}" for number in range(1000)]
    monkeypatch.delenv(measured.SAMPLE, raising=False)
    assert measuring(lab, sample=False) == 1000
    assert 200 < measuring(lab, sample=True) < 300
    assert measuring([test.replace("lab", "unit") for test in lab], sample=True) == 1000


def test_a_run_that_measured_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    with pytest.raises(NotEnoughError, match="no process has measured"):
        measured.combine(tmp_path / "parts", tmp_path / "combined")


@pytest.mark.parametrize(
    ("lines", "branches", "enough"), [(91, 91, True), (90, 100, False), (100, 90, False), (90, 90, False)]
)
def test_lines_and_branches_are_each_to_be_above_the_limit(lines: int, branches: int, enough: bool) -> None:
    shares = [Share("deploy_lib", 100, lines, 100, branches)]
    if enough:
        measured.demand(shares)
    else:
        with pytest.raises(NotEnoughError, match=f"{lines}.00 % of the lines and {branches}.00 %"):
            measured.demand(shares)


def test_the_report_names_the_modules_with_most_left() -> None:
    whole = Share("deploy_lib", 40, 30, 4, 4)
    modules = [Share("deploy_lib/b.py", 20, 10, 0, 0), Share("deploy_lib/a.py", 20, 20, 4, 4)]
    assert measured.told([whole, *modules]) == [
        "COVERAGE         LINES   BRANCHES  NOT RUN",
        "deploy_lib       75.0 %  100.0 %   10",
        "deploy_lib/b.py  50.0 %  100.0 %   10",
    ]
