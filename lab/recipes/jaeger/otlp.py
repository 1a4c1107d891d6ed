"""What a stand-in for Jaeger reads of OTLP: spans out of an ExportTraceServiceRequest, by the fields' numbers.

Debian has gRPC for Python, but not OpenTelemetry's messages. The numbers are those of opentelemetry-proto 1.x.
"""

from collections.abc import Iterator
from typing import Any

Field = tuple[int, Any]


def fields(message: bytes) -> Iterator[Field]:
    """Number and value of each field: an int, or bytes for what has a length."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        chunk = message[at : at + size]
        if len(chunk) < size:
            raise ValueError("cut short")
        at += size
        yield number, chunk if kind == 2 else int.from_bytes(chunk, "little")


def spans(request: bytes) -> Iterator[dict[str, Any]]:
    """The spans of a request, with the name of the service that each is from."""
    for resource_spans in _all(request, 1):
        service = "unknown"
        for resource in _all(resource_spans, 1):
            service = _attributes(resource, 1).get("service.name", service)
        for scope_spans in _all(resource_spans, 2):
            for span in _all(scope_spans, 2):
                found = dict(fields(span))
                yield {
                    "service": service,
                    "trace": found[1].hex(),
                    "id": found[2].hex(),
                    "parent": found.get(4, b"").hex(),
                    "name": found.get(5, b"").decode(),
                    "start": found.get(7, 0),
                    "end": found.get(8, 0),
                    "tags": _attributes(span, 9),
                }


def _attributes(message: bytes, number: int) -> dict[str, Any]:
    """Those that are text; the others are left out."""
    found = {}
    for pair in _all(message, number):
        entry = dict(fields(pair))
        value = dict(fields(entry.get(2, b"")))
        if 1 in value:
            found[entry[1].decode()] = value[1].decode()
    return found


def _all(message: bytes, number: int) -> Iterator[Any]:
    return (value for found, value in fields(message) if found == number)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
