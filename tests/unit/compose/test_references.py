"""What raw YAML is read for: which files a stack refers to."""

from collections.abc import Mapping

import pytest

from deploy_lib.compose.references import Reference, References, references
from deploy_lib.errors import UsageError


def refers(*files: str, beside: Mapping[str, str] | None = None, **values: str) -> References:
    named = [(f"{number}.yml", text.encode()) for number, text in enumerate(files)]
    there = {path: text.encode() for path, text in (beside or {}).items()}
    return references(named, there.get, values)


def found(*files: str, beside: Mapping[str, str] | None = None, **values: str) -> dict[str, Reference]:
    return {each.path: each for each in refers(*files, beside=beside, **values).found}


@pytest.mark.parametrize(
    ("spec", "paths"),
    [
        (
            "volumes: ['./conf/a.conf:/a.conf:ro', 'data:/data', '/etc/x:/x', '~/y:/y', '/anonymous']",
            ["conf/a.conf"],
        ),
        (
            "volumes: [{type: bind, source: conf, target: /c}, {type: volume, source: v, target: /v}, {type: bind, source: /dev/null, target: /n}]",
            ["conf"],
        ),
        ("volumes: ['${WHERE}:/x', '${NOWHERE:-./other}:/y', './$$x:/z']", ["here", "other", "$x"]),
        ("volumes: ['../above:/x']", ["../above"]),
        (
            "volumes: ['${PWD}/conf:/x', '$PWD/data:/y'], env_file: '${PWD}/app.env'",
            ["conf", "data", "app.env"],
        ),
        ("env_file: app.env", ["app.env"]),
        ("env_file: [app.env, {path: ./more.env, required: false}, /etc/host.env]", ["app.env", "more.env"]),
        ("label_file: [labels/a]", ["labels/a"]),
        (
            "security_opt: ['seccomp:./seccomp.json', 'apparmor:unconfined', 'seccomp=unconfined']",
            ["seccomp.json"],
        ),
    ],
)
def test_a_service_refers_to_what_lies_below_its_project_directory(spec: str, paths: list[str]) -> None:
    assert sorted(found(f"services: {{web: {{image: x, {spec}}}}}", WHERE="./here")) == sorted(paths)


def test_what_names_a_path_and_in_which_line_is_said() -> None:
    text = "services:\n  web:\n    image: x\n    volumes:\n      - ./a.conf:/a\n    env_file: [a.env]\n"
    references = found(text)
    assert str(references["a.conf"]) == "0.yml line 5: a.conf, which web mounts"
    assert str(references["a.env"]) == "0.yml line 6: a.env, the env_file of web"
    assert [references[path].kind for path in ("a.conf", "a.env")] == ["mount", "input"]


def test_configs_secrets_and_volumes_that_are_files() -> None:
    there = found(
        "services: {}\nconfigs: {c: {file: ./c.conf}, d: {content: x}}\nsecrets: {s: {file: s.txt}, e: {environment: E}}\n"
        "volumes: {v: {driver_opts: {type: none, o: 'ro,rbind', device: '${PWD}/data'}}, w: {driver_opts: {o: 'addr=x', device: ':/y'}}}"
    )
    assert {path: each.kind for path, each in there.items()} == {
        "c.conf": "mount",
        "s.txt": "secret",
        "data": "mount",
    }


def test_a_path_that_need_not_be_there() -> None:
    there = found(
        "services: {web: {volumes: [{type: bind, source: ./targets, target: /t, bind: {create_host_path: true}},"
        "{type: bind, source: ./other, target: /o}, './short:/s'], env_file: [{path: a.env, required: false}]}}"
    )
    assert {path for path, each in there.items() if each.needed} == {"other", "short"}


def test_included_files_start_from_their_own_project_directory() -> None:
    beside = {
        "sub/extra.yml": "services: {a: {volumes: ['./a.conf:/a', '${FROM_ENV}:/e', '${MAIN}:/m'], env_file: a.env}}\n"
        "include: [deeper/last.yml]",
        "sub/deeper/last.yml": "services: {b: {volumes: ['./b.conf:/b']}}",
        "sub/.env": "FROM_ENV=./from-env\nMAIN=./not-this",
        "else/long.yml": "services: {c: {volumes: ['./c.conf:/c', '$X:/x']}}",
        "else/override.yml": "services: {c: {volumes: ['./d.conf:/d']}}",
        "x.env": "X=./x.conf",
    }
    text = "include: [sub/extra.yml, {path: [else/long.yml, else/override.yml], project_directory: ., env_file: x.env}]"
    there = found(text, beside=beside, MAIN="./main")
    assert {path for path, each in there.items() if each.kind == "input"} == {
        *("sub/extra.yml", "sub/.env", "sub/a.env", "sub/deeper/last.yml"),
        *("else/long.yml", "else/override.yml", "x.env", "sub/deeper/.env"),
    }
    # Compose reads it wherever there is one.
    assert not there["sub/deeper/.env"].needed
    mounts = {path for path, each in there.items() if each.kind == "mount"}
    assert mounts == {
        "sub/a.conf",
        "sub/from-env",
        "sub/main",
        "sub/deeper/b.conf",
        "c.conf",
        "x.conf",
        "d.conf",
    }


def test_what_lies_above_the_project_directory_is_not_called_missing() -> None:
    for text in ("include: [../a.yml]", "services: {a: {extends: {file: ../a.yml, service: a}}}"):
        with pytest.raises(UsageError, match=r"\.\./a\.yml, which .*, lies above the project directory"):
            found(text)


def test_the_working_directory_is_the_project_directory_in_each_file() -> None:
    beside = {"sub/a.yml": "services: {a: {volumes: ['${PWD}/conf:/x', './own:/y']}}"}
    assert {"conf", "sub/own"} <= set(found("include: [sub/a.yml]", beside=beside))


def test_an_extended_service_starts_from_its_file_s_folder_and_no_other_service_counts() -> None:
    beside = {
        "common/base.yml": "services: {web: {extends: {service: root}, volumes: ['./w:/w']}, root: {volumes: ['./r:/r']},"
        "other: {volumes: ['./o:/o']}}",
    }
    there = found("services: {x: {extends: {file: common/base.yml, service: web}}}", beside=beside)
    assert set(there) == {"common/base.yml", "common/w", "common/r"}


def test_anchors_and_merges_count_where_they_are_used() -> None:
    text = "x-base: &base {env_file: [common.env]}\nservices:\n  a: {<<: *base, image: x}\n  b: {image: x}"
    assert set(found(text)) == {"common.env"}


def test_what_a_later_file_replaces_is_not_referred_to() -> None:
    first = "services: {a: {volumes: ['./a:/x', './b:/y']}, b: {volumes: ['./c:/z'], env_file: [b.env]}, c: {env_file: c.env}}"
    second = "services: {a: {volumes: ['./new:/x']}, b: {volumes: !override ['./d:/z'], env_file: !reset null}, c: !reset null}"
    assert set(found(first, second)) == {"new", "b", "d"}
    assert set(found(first, "services: {a: {volumes: ['data:/x', '/host:/y']}}")) == {"c", "b.env", "c.env"}


def test_what_a_later_file_only_adds_to_is_still_referred_to() -> None:
    first = (
        "services: {a: {image: x, volumes: ['./a:/a']}}\nconfigs: {c: {file: ./c}}\nsecrets: {s: {file: ./s}}\n"
        "volumes: {v: {driver_opts: {type: none, device: '${PWD}/v'}}}"
    )
    added = "configs: {c: {name: n}}\nsecrets: {s: }\nvolumes: {v: {driver_opts: {o: bind}}}"
    assert set(found(first, added)) == {"a", "c", "s", "v"}
    other = (
        "configs: {c: {file: ./d}}\nsecrets: {s: !override {environment: S}}\n"
        "volumes: {v: {driver_opts: !reset null}}"
    )
    assert set(found(first, added, other)) == {"a", "d"}
    assert set(found(first, "configs: {c: {file: !reset null, content: x}}")) == {"a", "s"}


def test_a_whole_section_that_is_replaced_is_forgotten() -> None:
    first = (
        "services: {a: {image: x, volumes: ['./a:/a']}}\nconfigs: {c: {file: ./c}}\nsecrets: {s: {file: ./s}}"
    )
    second = (
        "include: [more.yml]\nservices: !override {b: {image: x, env_file: b.env}}\nconfigs: !reset {}\n"
        "secrets: !override {t: {file: ./t}}"
    )
    made = refers(first, second, beside={"more.yml": "services: {c: {image: x, volumes: ['./m:/m']}}"})
    assert {each.path for each in made.found if each.needed} == {"more.yml", "m", "b.env", "t"}
    assert made.services == ["b", "c"]


def test_of_several_env_files_of_an_include_the_last_counts_and_the_parent_before_all() -> None:
    beside = {
        "sub/a.yml": "services: {a: {volumes: ['./${D}:/d', './${E}:/e', './${P}:/p']}}",
        "one.env": "D=one\nE=one",
        "two.env": "D=two\nP=two",
    }
    there = found("include: [{path: sub/a.yml, env_file: [one.env, two.env]}]", beside=beside, P="parent")
    assert {path for path, each in there.items() if each.kind == "mount"} == {
        "sub/two",
        "sub/one",
        "sub/parent",
    }


def test_services_of_every_file_and_profile_are_known_but_for_what_is_reset() -> None:
    files = (
        "include: [more.yml]\nservices: {a: {image: x}, b: {image: x, profiles: [p]}, c: {image: x}, d: {image: x}}",
        "services: {c: !reset null, d: !override {image: y}}",
    )
    made = refers(*files, beside={"more.yml": "services: {e: {image: x}}"})
    assert made.services == ["a", "b", "d", "e"]


def test_a_path_with_a_variable_that_has_no_value_is_said() -> None:
    there = refers("services:\n  a:\n    volumes:\n      - ${DATA}:/data\n      - ./x:/x")
    assert [each.path for each in there.found] == ["x"]
    assert there.unknown == ["0.yml line 4: ${DATA}:/data, which a mounts"]


def test_what_an_include_names_is_said_with_its_own_line() -> None:
    text = """\
include:
  - path:
      - ${GONE}/first.yml
      - more.yml
    project_directory: ${NOWHERE}
    env_file:
      - ${GONE}/a.env
      - b.env
"""
    there = refers(text, beside={"more.yml": "services: {}", "b.env": ""})
    assert [str(each) for each in there.found] == [
        "0.yml line 8: b.env, the env_file of an include",
        "0.yml line 4: more.yml, which it includes",
    ]
    assert there.unknown == [
        "0.yml line 3: ${GONE}/first.yml, which it includes",
        "0.yml line 5: ${NOWHERE}, the project directory of an include",
        "0.yml line 7: ${GONE}/a.env, the env_file of an include",
    ]


@pytest.mark.parametrize(
    ("text", "beside", "message"),
    [
        ("include: [gone.yml]", {}, r"0.yml line 1: gone.yml, which it includes, is not in the checkout"),
        (
            "services: {a: {extends: {file: gone.yml, service: b}}}",
            {},
            r"gone.yml, which a extends, is not in",
        ),
        ("include: [a.yml]", {"a.yml": "include: [a.yml]"}, "a.yml includes itself"),
        (
            "services: {a: {extends: {file: a.yml, service: a}}}",
            {"a.yml": "services: {a: {extends: {file: a.yml, service: a}}}"},
            "extends itself",
        ),
        ("include: ['oci://registry/x']", {}, "is not a file"),
        ("include: ['https://github.com/a/b.git']", {}, "is not a file"),
        ("include: [a.yml]", {"a.yml": "services: [: "}, r"a.yml \(from 0.yml\) is not valid YAML"),
        ("- 1", {}, "0.yml is no Compose file"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(text: str, beside: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        found(text, beside=beside)


@pytest.mark.parametrize(
    "text",
    [
        "services: {a: [], b: null, c: {volumes: {}, env_file: 1, extends: x, security_opt: {}}}",
        "include: {path: null}\nservices: null\nconfigs: []\nsecrets: {a: x}\nvolumes: {v: 1}",
        "services: &a {b: *a}",
        "",
    ],
)
def test_what_compose_itself_will_refuse_is_passed_over(text: str) -> None:
    assert found(text) == {}
