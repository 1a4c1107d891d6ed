from deploy_lib import build


def test_it_holds_the_application_and_nothing_of_this_tool(backend_image: str) -> None:
    script = (
        "import importlib.util as u, sys;"
        "print([n for n in ('fabric','invoke','paramiko','onepassword','deploy_lib','pytest') if u.find_spec(n)],"
        "u.find_spec('ktrdr_backend') is not None, sys.version_info[:2])"
    )
    said = build.run("run", "--rm", "--entrypoint", "python", backend_image, "-c", script)
    assert said.strip() == "[] True (3, 13)"


def test_it_is_small_and_not_run_by_root(backend_image: str) -> None:
    assert int(build.inspect(backend_image, "{{.Size}}") or 0) < 500_000_000
    assert build.run("run", "--rm", "--entrypoint", "id", backend_image, "-u").strip() == "10001"


def test_no_build_secret_is_left_in_it(backend_image: str) -> None:
    said = build.run(
        "run", "--rm", "--entrypoint", "sh", backend_image, "-c", "ls -A /run/secrets 2>/dev/null; true"
    )
    assert said == ""
