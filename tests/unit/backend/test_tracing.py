from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from psycopg_pool import ConnectionPool

from ktrdr_backend import tracing
from ktrdr_backend.operations import DatabaseOperations


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", lambda name: provider.get_tracer(name))
    yield exporter
    provider.shutdown()


def test_a_call_is_a_span_of_the_trace_under_way(spans: InMemorySpanExporter) -> None:
    with (
        trace.get_tracer("test").start_as_current_span("request") as request,
        tracing.call("ask", place="here"),
    ):
        pass
    ask, _ = spans.get_finished_spans()
    assert (ask.name, ask.kind, dict(ask.attributes or {})) == (
        "ask",
        trace.SpanKind.CLIENT,
        {"place": "here"},
    )
    assert ask.parent is not None
    assert ask.parent.span_id == request.get_span_context().span_id


def test_what_nobody_asked_for_is_not_traced(spans: InMemorySpanExporter) -> None:
    with tracing.call("ask"):
        pass
    assert spans.get_finished_spans() == ()


def test_a_statement_that_fails_is_a_span_that_says_so_and_names_no_value(
    spans: InMemorySpanExporter,
) -> None:
    closed = DatabaseOperations(ConnectionPool(open=False))
    with (
        trace.get_tracer("test").start_as_current_span("request"),
        pytest.raises(Exception, match="not open"),
    ):
        closed.finish("the-operation", "the-worker", "completed", {})
    statement, _ = spans.get_finished_spans()
    assert statement.name == "postgresql UPDATE"
    assert statement.status.status_code is trace.StatusCode.ERROR
    assert "the-operation" not in str(statement.attributes)
