import pytest

from deploy_lib.compose.variables import variables
from deploy_lib.errors import UsageError

FILE = b"""\
# ${IN_A_COMMENT:?}
x-common: &common
  environment: { LATE: "${LATE?why}", LEVEL: "${LEVEL}" }
services:
  web:
    <<: *common
    image: ${REGISTRY:-${MIRROR}}/web:${TAG-latest}
    command: [echo, "$$ESCAPED $${ALSO:?}", "$BARE", "${MORE:+${LEVEL}}"]
    labels: { x: "${EARLY:?}" }
    secrets: [s]
secrets:
  s: { environment: PASSWORD }
  file: { file: ./x }
"""


def test_each_way_of_reading_a_variable() -> None:
    found = variables(FILE, "f")
    assert set(found.read) == {"LATE", "LEVEL", "REGISTRY", "MIRROR", "TAG", "BARE", "MORE", "EARLY"}
    assert found.required == {"LATE", "EARLY"}
    assert found.secrets == ("PASSWORD",)


def test_what_is_needed_stands_in_the_order_of_the_file() -> None:
    assert variables(FILE, "f").needed == ["LATE", "EARLY", "PASSWORD"]


def test_a_secret_that_only_builds_an_image_is_not_needed() -> None:
    file = (
        b"services: {web: {build: {secrets: [npm, {source: both}]}, secrets: [{source: both}]}, other: }\n"
        b"secrets: {npm: {environment: NPM}, both: {environment: BOTH}, unused: {environment: UNUSED}}"
    )
    assert variables(file, "f").needed == ["BOTH", "UNUSED"]


@pytest.mark.parametrize("content", [b"a: [", b"just text"])
def test_no_compose_file_is_one_clear_line(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"^f is not"):
        variables(content, "f")
