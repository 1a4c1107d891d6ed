"""Traces over OTLP, when an endpoint is configured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def configure(service: str, endpoint: str) -> None:
    """Sends this process's spans to `endpoint` as `service`; without an endpoint, nowhere."""
    if not endpoint:
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    # Seconds; a process that ends waits so long for its last spans, and every deployment for that process.
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=1)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


@contextmanager
def call(name: str, **attributes: str) -> Iterator[None]:
    """A span for a call of another service, in the trace under way; none where there is no trace: polling is not traced."""
    if not trace.get_current_span().get_span_context().is_valid:
        yield
        return
    tracer = trace.get_tracer("ktrdr_backend")
    with tracer.start_as_current_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes):
        yield
