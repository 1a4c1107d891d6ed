"""What PostgreSQL keeps of a password (RFC 5803), computed here, so that the server never gets the password itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import stringprep
import unicodedata

from deploy_lib.secrets.value import Secret

ITERATIONS = 4096
"""PostgreSQL's own number."""

SALT_BYTES = 16


def verifier(password: Secret, salt: bytes) -> Secret:
    """`SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, as in `pg_authid.rolpassword`.

    Args:
        salt: random, SALT_BYTES of them.
    """
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password.reveal()), salt, ITERATIONS)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return Secret(f"SCRAM-SHA-256${ITERATIONS}:{_text(salt)}${_text(stored)}:{_text(server)}")


def prepared(password: str) -> bytes:
    """A password as both ends hash it: by SASLprep (RFC 4013), or as it is where SASLprep has no answer.

    PostgreSQL and its clients do the same; one that did not would hash "é" in one way and be sent it in another.
    """
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not normal or any(_prohibited(c) for c in normal) or _mixed(normal):
        return password.encode()
    return normal.encode()


_TABLES = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _prohibited(character: str) -> bool:
    return any(table(character) for table in _TABLES)


def _mixed(text: str) -> bool:
    """Whether it breaks the rules for text that is written from right to left."""
    leftward = [stringprep.in_table_d1(c) for c in text]
    if not any(leftward):
        return False
    return any(stringprep.in_table_d2(c) for c in text) or not (leftward[0] and leftward[-1])


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, "sha256").digest()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
