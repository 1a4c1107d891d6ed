import base64
import hashlib
import hmac

import pytest

from deploy_lib.secrets.scram import prepared, verifier
from deploy_lib.secrets.value import Secret


def test_it_fits_the_exchange_in_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    method, rounds, keys = verifier(Secret("pencil"), salt).reveal().split("$")
    assert (method, rounds) == ("SCRAM-SHA-256", f"4096:{base64.b64encode(salt).decode()}")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored
    signature = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert hmac.digest(server, message, "sha256") == signature


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        # RFC 4013, section 3
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # no answer there, so PostgreSQL takes the bytes as they are
        ("\u0627\u0031", "\u0627\u0031"),
        ("e\u0301\u0007", "e\u0301\u0007"),
        ("\u00ad", "\u00ad"),
        # ASCII stays, control characters too
        ("a\tb\n", "a\tb\n"),
        ("a\u00a0b", "a b"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_a_password_is_prepared_as_postgresql_does_it(password: str, expected: str) -> None:
    assert prepared(password) == expected.encode()


def test_it_does_not_show_itself() -> None:
    assert str(verifier(Secret("pencil"), b"salt")) == "***"
