import subprocess
import sys
from pathlib import Path

import pytest

from ktrdr_backend.entrypoint import resolve


def test_a_file_becomes_the_variable_byte_for_byte(tmp_path: Path) -> None:
    secret = 'it\'s "odd" $HOME `x` \\ ü\r\n\ttab\r\n'
    (tmp_path / "db_password").write_bytes(secret.encode())
    resolved = resolve({"DB_PASSWORD_FILE": f"{tmp_path}/db_password", "DB_HOST": "db"}, tmp_path)
    assert resolved["DB_PASSWORD"] == secret
    assert resolved["DB_HOST"] == "db"


def test_variables_that_only_look_alike_are_left_alone() -> None:
    in_secrets = "/run/secrets/nothing"
    environment = {"_FILE": in_secrets, "FILE": in_secrets, "LOG_FILE_NAME": in_secrets}
    assert resolve(environment) == environment


def test_a_file_elsewhere_is_somebody_else_s() -> None:
    environment = {"SSL_CERT_FILE": "/etc/ssl/cert.pem"}
    assert resolve(environment) == environment


def test_both_at_once_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("from-file")
    with pytest.raises(SystemExit) as refusal:
        resolve({"JWT_SECRET": "from-environment", "JWT_SECRET_FILE": f"{tmp_path}/s"}, tmp_path)
    assert str(refusal.value) == "JWT_SECRET and JWT_SECRET_FILE are both set"


def test_a_missing_file_stops_it_before_the_program_starts() -> None:
    with pytest.raises(SystemExit, match="DB_PASSWORD_FILE: /run/secrets/nothing cannot be read"):
        resolve({"DB_PASSWORD_FILE": "/run/secrets/nothing"})


def test_a_file_that_is_no_text_is_refused_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"\xff\xfesecret")
    with pytest.raises(SystemExit) as refusal:
        resolve({"JWT_SECRET_FILE": f"{tmp_path}/s"}, tmp_path)
    assert "secret" not in str(refusal.value)


def test_a_nul_is_refused_without_showing_the_rest(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"half\0other")
    with pytest.raises(SystemExit, match="NUL") as refusal:
        resolve({"JWT_SECRET_FILE": f"{tmp_path}/s"}, tmp_path)
    assert "half" not in str(refusal.value)


def test_it_becomes_the_command() -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ktrdr_backend.entrypoint",
            sys.executable,
            "-c",
            "import os; print(os.getpid())",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = process.communicate(timeout=30)
    # The same process: signals reach the program, and no parent keeps it from being the container's first.
    assert out.strip() == str(process.pid)
