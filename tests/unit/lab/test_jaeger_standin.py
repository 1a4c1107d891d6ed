"""What the lab's stand-in for Jaeger reads, against the messages that OpenTelemetry itself makes."""

import importlib.util
import json
import sys
import threading
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer
from types import ModuleType

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests import ROOT


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"lab/recipes/jaeger/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def otlp() -> ModuleType:
    return load("otlp")


@pytest.fixture(scope="module")
def request_and_spans() -> tuple[bytes, list[dict[str, object]]]:
    exporter, expected = InMemorySpanExporter(), []
    for service in ("one", "zwei ä"):
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner") as inner:
            inner.set_attributes({"text": "é" * 200, "number": 7})
    for span in exporter.get_finished_spans():
        context = span.get_span_context()
        assert context is not None
        expected.append(
            {
                "service": span.resource.attributes["service.name"],
                "trace": f"{context.trace_id:032x}",
                "id": f"{context.span_id:016x}",
                "parent": f"{span.parent.span_id:016x}" if span.parent else "",
                "name": span.name,
                "start": span.start_time,
                "end": span.end_time,
                "tags": {k: v for k, v in (span.attributes or {}).items() if isinstance(v, str)},
            }
        )
    return encode_spans(exporter.get_finished_spans()).SerializeToString(), expected


def test_spans_are_read_as_they_were_sent(
    otlp: ModuleType, request_and_spans: tuple[bytes, list[dict[str, object]]]
) -> None:
    request, expected = request_and_spans
    found = list(otlp.spans(request))
    assert sorted(found, key=lambda s: s["id"]) == sorted(expected, key=lambda s: str(s["id"]))
    assert len(found) == 4


def test_what_is_cut_short_is_no_message(
    otlp: ModuleType, request_and_spans: tuple[bytes, list[dict[str, object]]]
) -> None:
    request, _ = request_and_spans
    for size in range(1, len(request), 7):
        with pytest.raises((ValueError, IndexError)):
            list(otlp.spans(request[:size]))


def test_a_trace_that_was_sent_over_grpc_is_read_back_by_its_id(
    otlp: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "otlp", otlp)
    standin = load("standin")
    server, port = standin.receiver("127.0.0.1:0")
    server.start()
    pages = ThreadingHTTPServer(("127.0.0.1", 0), standin.Handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    provider = TracerProvider(resource=Resource.create({"service.name": "one"}))
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{port}", insecure=True, timeout=10)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        with provider.get_tracer("test").start_as_current_span("outer") as outer:
            trace_id = f"{outer.get_span_context().trace_id:032x}"
        url = f"http://127.0.0.1:{pages.server_port}/api/traces/"
        with urllib.request.urlopen(url + trace_id, timeout=10) as answer:
            (found,) = json.load(answer)["data"]
        (span,) = found["spans"]
        assert (span["operationName"], span["references"]) == ("outer", [])
        assert found["processes"][span["processID"]]["serviceName"] == "one"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(url + "0" * 32, timeout=10)
    finally:
        provider.shutdown()
        pages.shutdown()
        pages.server_close()
        server.stop(None)
