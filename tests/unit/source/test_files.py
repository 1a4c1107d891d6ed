"""Which files of a checkout are shipped, from where, and as what."""

import os
import posixpath
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy_lib.config import Stack
from deploy_lib.errors import UsageError
from deploy_lib.source import git_program
from deploy_lib.source.files import collect
from deploy_lib.source.git_program import Said
from deploy_lib.source.shipped import Shipped

COMPOSE = "services: {web: {image: x, volumes: [%s]}}"


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    write(tmp_path, {"compose.yml": "services: {web: {image: x}}"})
    return tmp_path


def shipped(root: Path, mounts: str = "", **settings: Any) -> Shipped:
    if mounts:
        write(root, {settings.get("compose", "compose.yml"): COMPOSE % mounts})
    return collect(root, Stack(**{"compose": "compose.yml", **settings}))


def marks(found: Shipped) -> dict[str, str]:
    return {
        path: entry.target or ("/" if entry.folder else f"{entry.mode:o}")
        for path, entry in found.files.items()
    }


def test_what_earlier_versions_shipped_lies_where_it_lay(root: Path) -> None:
    write(
        root,
        {
            "compose/core.yml": COMPOSE % "./monitoring/p:/p",
            "compose/.env.core": "A=1",
            "monitoring/p/x": "1",
        },
    )
    write(root, {"monitoring/y": "2"})
    found = shipped(
        root, compose="compose/core.yml", env_file="compose/.env.core", directories=("monitoring",)
    )
    assert set(found.files) == {"core.yml", ".env.core", "monitoring/p/x", "monitoring/y"}
    assert (found.compose_files, found.env_files) == (("core.yml",), (".env.core",))
    assert found.expected == ()


def test_what_is_referred_to_is_shipped_without_being_listed(root: Path) -> None:
    write(
        root,
        {
            "clickhouse/logs.xml": "x",
            "app.env": "",
            "extra.yml": "services: {b: {env_file: b.env}}",
            "b.env": "",
        },
    )
    write(
        root,
        {"compose.yml": "include: [extra.yml]\n" + COMPOSE % "./clickhouse/logs.xml:/l:ro", "not/this": "x"},
    )
    found = shipped(root)
    assert set(found.files) == {"compose.yml", "extra.yml", "b.env", "clickhouse/logs.xml"}
    assert found.inputs == ("compose.yml", "extra.yml", "b.env")


def test_a_path_is_looked_for_in_files_then_in_directories_then_beside_the_compose_file(root: Path) -> None:
    write(root, {f"{place}/{name}": place for place in ("deploy/conf", "conf", "else") for name in "abc"})
    settings = {
        "compose": "deploy/compose.yml",
        "directories": ("conf",),
        "files": {"conf/a": "else/a", "monitoring/prometheus.yml": "else/b", "whole": "else"},
    }
    found = shipped(root, "./conf:/conf, ./monitoring/prometheus.yml:/p", **settings)
    content = {path: entry.content.decode() for path, entry in found.files.items() if path != "compose.yml"}
    assert content == {
        **{"conf/a": "else", "conf/b": "conf", "conf/c": "conf", "monitoring/prometheus.yml": "else"},
        **{f"whole/{name}": "else" for name in "abc"},
    }
    assert found.expected == ()


def test_only_what_git_does_not_ignore_and_with_its_modes(root: Path) -> None:
    write(
        root,
        {".gitignore": ".env\nlocal/\n", "conf/.env": "S=1", "conf/a": "", "conf/run.sh": "", "conf/key": ""},
    )
    write(root, {"conf/local/x": "", "conf/new": ""})
    (root / "conf/run.sh").chmod(0o755)
    (root / "conf/key").chmod(0o600)
    (root / "conf/latest").symlink_to("sub/../a")
    git(root, "add", "conf/a", "conf/run.sh", "conf/key", "conf/latest")
    found = marks(shipped(root, "./conf:/conf, ./empty:/e"))
    assert found == {
        **{"compose.yml": "644", "conf/a": "644", "conf/new": "644", "conf/run.sh": "755", "conf/key": "600"},
        **{"conf/latest": "sub/../a"},
    }
    # What git has is not what is shipped, if it has become something else since.
    (root / "conf/a").unlink()
    write(root, {"conf/a/inner": ""})
    (root / "conf/run.sh").unlink()
    assert set(shipped(root, "./conf:/conf, ./empty:/e").files) == {*found, "conf/a/inner"} - {
        "conf/a",
        "conf/run.sh",
    }
    # Where every file of this machine is one's own, git's mode counts.
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and ".git" not in path.parts:
            path.chmod(path.stat().st_mode & 0o700)
    assert marks(shipped(root, directories=("conf",)))["conf/key"] == "644"


def test_an_ignored_file_that_deploy_toml_names_is_meant(root: Path) -> None:
    write(root, {".gitignore": "*.env\n.env", "own.env": "A=1", "conf.env": "", ".env": "B=2"})
    found = shipped(root, env_file="own.env", files={"b.env": "conf.env"})
    assert set(found.files) == {"compose.yml", "own.env", "b.env"}
    assert "git ignores .env" in shipped(root).notes[0][0]


def test_compose_finds_the_project_directories_of_what_is_included(root: Path) -> None:
    # Where one is not there, it takes the directory above in its place.
    files = {
        "compose.yml": "include: [{path: [a.yml], project_directory: inc/home}, {path: b.yml, project_directory: inc/bare}]",
        **{f"{name}.yml": f"services: {{{name}: {{image: x, volumes: ['./x.conf:/x']}}}}" for name in "ab"},
    }
    write(root, {**files, "inc/home/x.conf": "x"})
    read = shipped(root).read
    assert set(read) == {*files, "inc/home"}
    assert read["inc/home"].folder


def test_an_env_file_beside_the_compose_file_is_compose_s_own_default(root: Path) -> None:
    write(root, {".env": "WHERE=./here", "here": ""})
    found = shipped(root, "$WHERE:/x")
    assert set(found.files) == {"compose.yml", ".env", "here"}
    assert found.env_files == (".env",)
    assert shipped(root, env_file=()).env_files == ()


def test_several_compose_files_and_env_files_lie_under_their_names(root: Path) -> None:
    write(
        root,
        {"prod/compose.yml": COMPOSE % "./x:/x", "prod/a.env": "A=1\nX=./one", "b.env": "X=./two", "x": ""},
    )
    found = shipped(root, compose=("compose.yml", "prod/compose.yml"), env_file=("prod/a.env", "b.env"))
    assert found.compose_files == ("compose.yml", "prod/compose.yml")
    assert found.env_files == ("a.env", "b.env")
    assert found.values == {"A": "1", "X": "./two"}
    # Their paths start from the first one's folder.
    assert "x" in found.files


def test_links_inside_are_links_with_what_they_lead_to(root: Path) -> None:
    write(root, {"real/a": "1", "conf/x": ""})
    (root / "conf/link").symlink_to("../real/a")
    (root / "alias").symlink_to("real")
    assert marks(shipped(root, "./conf/link:/l, ./alias/a:/a")) == {
        **{"compose.yml": "644", "conf/link": "../real/a", "real/a": "644", "alias": "real"},
    }


@pytest.mark.parametrize("target", ["/etc/hostname", "../../outside", "../elsewhere"])
def test_a_link_that_leads_out_is_refused_by_name(root: Path, target: str) -> None:
    write(root, {"elsewhere": "", "deploy/conf/a": ""})
    (root / "deploy/conf/link").symlink_to(f"../{target}" if target == "../elsewhere" else target)
    with pytest.raises(UsageError, match=rf"deploy/conf/link is a link to \S*{target}, which leads out"):
        shipped(root, "./conf:/conf", compose="deploy/compose.yml")


def test_an_empty_directory_that_is_mounted_is_made(root: Path) -> None:
    (root / "cache").mkdir()
    assert marks(shipped(root, "./cache:/c"))["cache"] == "/"


def test_what_keeps_a_directory_in_git_is_for_git_alone(root: Path) -> None:
    files = ("rows/.gitkeep", "up/.gitignore", "conf/.keep", "conf/a.conf", "conf/sub/deep/.gitkeep")
    write(root, dict.fromkeys(files, ""))
    git(root, "add", ".")
    found = shipped(root, "./rows:/r, ./up:/u, ./conf:/c")
    assert marks(found) == {
        "compose.yml": "644",
        "conf/a.conf": "644",
        "conf/sub/deep": "/",
        "rows": "/",
        "up": "/",
    }


def test_what_nothing_ships_is_expected_of_the_host_with_the_way_out(root: Path) -> None:
    write(root, {".gitignore": "library", "library/x": "", "mine/x": ""})
    found = shipped(root, "./library:/l, ./postgres:/p, ./mine:/m, ./known:/k", data=("known", "mine"))
    assert {e.reference.path: e.why for e in found.expected} == {
        "library": "git ignores it",
        "postgres": "the checkout has no such path",
    }
    assert [e.data for e in found.expected] == ["library", "postgres"]
    assert set(found.files) == {"compose.yml"}


def test_a_secret_s_file_is_expected_of_the_host_and_never_shipped(root: Path) -> None:
    text = "services: {}\nsecrets:\n  s:\n    file: s.txt\n  t: {file: ../t.txt}"
    write(root, {"s.txt": "", "a/t.txt": "", "a/b/s.txt": "", "a/b/compose.yml": text})
    git(root, "add", "a/b/s.txt")
    found = shipped(root, compose="a/b/compose.yml")
    assert [(e.reference.owner, e.tracked) for e in found.expected] == [
        (("secrets", "s"), True),
        (("secrets", "t"), False),
    ]
    assert set(found.files) == {"compose.yml"}


def test_what_compose_may_read_on_the_host_is_looked_for_there(root: Path) -> None:
    text = """include: [sub/c.yml]
services:
  web:
    image: x
    env_file: [{path: .env.local, required: false}, app/app.env, ../above.env, app/shipped.env]
    volumes: ['./app:/app']
"""
    ignored = {".gitignore": ".env*", ".env.local": "A=1", "sub/.env": "V=2"}
    write(root, {**ignored, "compose.yml": text, "sub/c.yml": "services: {}", "app/app.env": "", "b.env": ""})
    found = shipped(root, data=("app",), files={"app/shipped.env": "b.env"})
    assert {e.reference.path: (e.why, e.reference.needed) for e in found.expected} == {
        "sub/.env": ("git ignores it", False),
        ".env.local": ("git ignores it", False),
        "app/app.env": ("it lies in what `data` of deploy.toml leaves to the stack", True),
        "../above.env": ("the checkout has no such path", True),
    }
    assert set(found.inputs) == {"compose.yml", "sub/c.yml", "app/shipped.env"}


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        ({"compose.yml": COMPOSE % ".:/all"}, {}, "is the project directory itself"),
        (
            {"a/compose.yml": COMPOSE % "../x:/x", "x": ""},
            {"compose": "a/compose.yml"},
            "x, which web mounts, lies above the project directory a",
        ),
        (
            {"release.yml": "", "compose.yml": COMPOSE % "./release.yml:/x"},
            {},
            "which each deployment makes itself",
        ),
        (
            {"a.env": "COMPOSE_FILE=compose.yml:b.yml"},
            {"env_file": "a.env"},
            "COMPOSE_FILE in the env file means other files",
        ),
        ({"a/c/x": "", "b/c/x": ""}, {"directories": ("a/c", "b/c"), "files": {"c/y": "b/c/x"}}, None),
        ({}, {"files": {"x": "gone"}}, "there is no gone"),
        ({}, {"directories": ("gone",)}, "there is no directory gone"),
        ({}, {"compose": "gone.yml"}, "gone.yml cannot be read"),
        ({".gitignore": "all", "all/x": ""}, {"directories": ("all",)}, "git ignores all"),
    ],
)
def test_what_must_not_be_shipped_is_one_clear_line(
    root: Path, files: dict[str, str], settings: dict[str, Any], message: str | None
) -> None:
    write(root, files)
    git(root, "add", ".")
    if message is None:
        shipped(root, **settings)
        return
    with pytest.raises(UsageError, match=message):
        shipped(root, **settings)


def test_an_untracked_secret_file_is_not_shipped(root: Path) -> None:
    write(root, {"s.txt": "", "compose.yml": "services: {}\nsecrets: {s: {file: s.txt}}"})
    found = shipped(root)
    assert set(found.files) == {"compose.yml"}
    assert "add [secrets.NAME] to deploy.toml" in found.expected[0].hint


def test_without_git_everything_is_shipped_and_said(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "x", "conf/x": "", "conf/sub/y": ""})
    found = shipped(tmp_path, "./conf:/conf")
    assert set(found.files) == {"compose.yml", "conf/x", "conf/sub/y"}
    assert "is not in a git checkout" in found.notes[0][0]


def test_where_git_does_not_answer_nothing_is_shipped(root: Path) -> None:
    write(root, {".gitignore": ".env", "conf/.env": "S=1"})
    (root / ".git/config").write_bytes(b"\xff[")
    with pytest.raises(UsageError, match="git does not say which files it ignores: "):
        shipped(root, "./conf:/conf")


def test_a_project_that_another_one_ignores_is_its_own(root: Path) -> None:
    write(root, {".gitignore": "copies", "copies/a/compose.yml": "", "copies/a/conf/x": ""})
    found = shipped(root / "copies/a", "./conf:/conf")
    assert "conf/x" in found.files
    assert "git ignores all of" in found.notes[0][0]


def test_compose_s_own_override_file_is_named(root: Path) -> None:
    write(root, {"compose.override.yml": "services: {}"})
    assert shipped(root).notes[0][1] == 'if it is meant: compose = ["compose.yml", "compose.override.yml"]'


def test_what_is_no_configuration_any_more_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, {"conf/a": "x" * 1000})
    monkeypatch.setattr("deploy_lib.source.tree.LARGEST", 500)
    with pytest.raises(UsageError, match="conf/a has 0 MiB: that is data"):
        shipped(root, "./conf:/conf")


def committed(path: Path) -> Path:
    """A repository with a commit of all that is in it."""
    git(path, "init", "--quiet")
    git(path, "add", "-A")
    git(path, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "one")
    return path


@pytest.fixture
def module(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the submodule `conf`."""
    other = tmp_path_factory.mktemp("other")
    write(other, {"nginx.conf": "1", "sites/a": "2", ".gitignore": "*.log"})
    git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(committed(other)), "conf")
    write(root, {"conf/odd.log": "3"})
    return committed(root)


def test_files_of_a_submodule_are_shipped_as_its_own_git_has_them(module: Path) -> None:
    found = shipped(module, "./conf/nginx.conf:/n, ./conf/sites:/s, ./conf/odd.log:/o")
    assert {*found.files} == {"compose.yml", "conf/nginx.conf", "conf/sites/a"}
    assert [(e.reference.path, e.why) for e in found.expected] == [("conf/odd.log", "git ignores it")]
    assert {"conf/sites/a", "conf/nginx.conf"} <= {*shipped(module, "./conf:/c").files}


@pytest.mark.parametrize("how", ["./conf:/c", "./conf/sites:/c", "directories"])
def test_a_submodule_that_is_not_checked_out_is_no_empty_directory(module: Path, how: str) -> None:
    git(module, "submodule", "deinit", "--force", "--quiet", "conf")
    if how == "./conf/sites:/c":
        assert [e.reference.path for e in shipped(module, how).expected] == ["conf/sites"]
        return
    with pytest.raises(UsageError, match="conf is a submodule that is not checked out") as caught:
        shipped(module, how if how[0] == "." else "", directories=() if how[0] == "." else ("conf",))
    assert "git submodule update --init conf" in str(caught.value)


def test_files_of_another_repository_inside_are_shipped(root: Path) -> None:
    write(root, {"inner/d/x": "1", "inner/one": "2", "inner/out.log": "3", "inner/.gitignore": "*.log"})
    committed(root / "inner")
    found = shipped(root, "./inner/d:/d, ./inner/one:/o, ./inner/out.log:/l")
    assert {*found.files} == {"compose.yml", "inner/d/x", "inner/one"}
    assert [e.why for e in found.expected] == ["git ignores it"]
    write(root, {".gitignore": "inner\n"})
    assert {*shipped(root, "./inner/d:/d, ./inner/one:/o").files} == {"compose.yml"}
    (root / ".gitignore").unlink()
    inner = shipped(root, "./d:/d", compose="inner/compose.yml")
    assert {*inner.files} == {"compose.yml", "d/x"}


def test_a_compose_file_behind_a_linked_directory_is_read(root: Path) -> None:
    write(root, {"real/compose.yml": COMPOSE % "./a:/a", "real/a": "1"})
    (root / "now").symlink_to("real")
    assert {*shipped(root, compose="now/compose.yml").files} == {"compose.yml", "a"}


def test_what_is_no_file_is_expected_of_the_host(root: Path) -> None:
    os.mkfifo(root / "pipe")
    found = shipped(root, "./pipe:/p")
    assert [(e.why, e.hint) for e in found.expected] == [
        ("pipe is neither a file nor a directory", "make it on the host")
    ]


@pytest.mark.parametrize("tracked", [True, False])
def test_a_directory_that_cannot_be_looked_into_is_not_empty(
    root: Path, monkeypatch: pytest.MonkeyPatch, tracked: bool
) -> None:
    write(root, {"conf/a": "1"})
    if tracked:
        committed(root)
    else:
        shutil.rmtree(root / ".git")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "conf/a")

    # Root may look into any, so that it is refused is made up.
    where, name = (Path, "lstat") if tracked else (os, "scandir")
    monkeypatch.setattr(where, name, refuse)
    with pytest.raises(UsageError, match="cannot be read: Permission denied"):
        shipped(root, "./conf:/c")


@pytest.mark.parametrize("at", ["conf", "conf/sub"])
def test_a_directory_that_git_could_not_look_into_is_not_empty(
    root: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    write(root, {"deploy/compose.yml": COMPOSE % "./conf:/c", "deploy/conf/a": "", f"deploy/{at}/x": ""})
    ask = git_program.ask

    def closed(folder: Path, *words: str, **others: str) -> Said:
        """As git says it of a directory that it may not read; root may read any."""
        said = ask(folder, *words, **others)
        if words[0] != "ls-files" or "x" not in said.text:
            return said
        lines = said.text.replace(f"? {at}/x\0", "").replace("? x\0", "")
        return Said(0, lines, f"warning: could not open directory 'deploy/{at}/': Permission denied\n")

    def refuse(place: Path) -> None:
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(git_program, "ask", closed)
    monkeypatch.setattr(os, "access", lambda place, _: Path(place).name != posixpath.basename(at))
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match=f"{at} cannot be read: Permission denied"):
        shipped(root / "deploy")
    assert {*shipped(root / "deploy", data=(at,)).files} <= {"compose.yml", "conf/a"}


@pytest.mark.parametrize("mount", ["./conf:/c", "./conf/sub:/c", "./conf/sub/b:/c"])
def test_what_a_sparse_checkout_lacks_is_not_gone(root: Path, mount: str) -> None:
    write(root, {"conf/a": "", "conf/sub/b": ""})
    committed(root)
    git(root, "sparse-checkout", "set", "--no-cone", "/*", "!/conf/sub/")
    assert not (root / "conf/sub").exists()
    with pytest.raises(UsageError, match="is in git and not here: this checkout is sparse") as caught:
        shipped(root, mount)
    assert "git sparse-checkout add conf/sub" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "git lfs pull --include conf/m",
        ),
        (b"\0GITCRYPT\0\x01", "git-crypt unlock"),
    ],
)
def test_what_git_has_in_the_place_of_a_file_is_not_shipped(root: Path, content: bytes, hint: str) -> None:
    write(root, {"conf/m": ""})
    (root / "conf/m").write_bytes(content)
    with pytest.raises(UsageError, match="conf/m is ") as caught:
        shipped(root, "./conf:/c")
    assert hint in str(caught.value)


def test_an_ignored_directory_that_deploy_toml_names_is_meant(root: Path) -> None:
    write(root, {".gitignore": "dist", "dist/index.html": "", "dist/js/a.js": ""})
    assert [e.why for e in shipped(root, "./dist:/d").expected] == ["git ignores it"]
    found = shipped(root, files={"dist": "dist"})
    assert ({*found.files}, found.expected) == ({"compose.yml", "dist/index.html", "dist/js/a.js"}, ())


@pytest.mark.parametrize("below", [{"tok": "", "link": ""}, {"tok": "", "a": ""}, {"tok": ""}])
def test_a_secret_s_file_is_not_shipped_with_what_lies_around_it(root: Path, below: dict[str, str]) -> None:
    write(root, {f"conf/{name}": "" for name in below if name != "link"})
    if "link" in below:
        (root / "conf/link").symlink_to("tok")
    write(root, {"compose.yml": COMPOSE % "./conf:/c" + "\nsecrets: {s: {file: ./conf/tok}}"})
    assert {*shipped(root).files} == {"compose.yml", "conf/a" if "a" in below else "conf"}
    # Who names it says that it is none.
    assert "conf/tok" in shipped(root, files={"conf/tok": "conf/tok"}).files


def test_a_link_to_the_project_directory_ships_not_all_of_it(root: Path) -> None:
    write(root, {"conf/a": "", "other": ""})
    (root / "conf/up").symlink_to("..")
    with pytest.raises(UsageError, match="conf/up is a link to the project directory itself"):
        shipped(root, "./conf:/c")


def test_what_lies_behind_an_ignored_link_is_the_host_s(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    disk = tmp_path_factory.mktemp("disk")
    write(disk, {"db/x": "", "app.env": "A=1"})
    write(root, {".gitignore": "data"})
    (root / "data").symlink_to(disk)
    found = shipped(root, "./data/db:/db, ./data/none/x:/n")
    assert [(e.reference.path, e.why) for e in found.expected] == [
        ("data/db", "git ignores it"),
        ("data/none/x", "the checkout has no such path"),
    ]
    (root / ".gitignore").unlink()
    with pytest.raises(UsageError, match=r"data is a link to .*, which leads out"):
        shipped(root)


@pytest.mark.parametrize("target", ["a\nb", "\udcff"])
def test_a_link_s_target_must_be_text_on_one_line(root: Path, target: str) -> None:
    write(root, {"conf/a": ""})
    (root / "conf/odd").symlink_to(target)
    with pytest.raises(UsageError, match=r"conf/odd' is a link to .*, a name that cannot be shipped"):
        shipped(root, "./conf:/c")


@pytest.mark.parametrize("name", ["app.env", "now/app.env"])
def test_an_env_file_behind_a_link_is_among_what_compose_reads(root: Path, name: str) -> None:
    write(root, {"real/app.env": "A=1", "compose.yml": f"services: {{web: {{image: x, env_file: {name}}}}}"})
    if name == "app.env":
        (root / "app.env").symlink_to("real/app.env")
    else:
        (root / "now").symlink_to("real")
    found = shipped(root)
    assert {*found.read} == {"compose.yml", name.split("/")[0], "real/app.env"}
    assert found.inputs == ("compose.yml", "real/app.env")
