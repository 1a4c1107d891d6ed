"""What the lab's stand-in for Jaeger reads, against the messages that OpenTelemetry itself makes."""

import importlib.util
from types import ModuleType

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests import ROOT


@pytest.fixture(scope="module")
def otlp() -> ModuleType:
    spec = importlib.util.spec_from_file_location("otlp", ROOT / "lab/recipes/jaeger/otlp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
