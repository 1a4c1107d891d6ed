"""A stand-in for Jaeger: a real OTLP receiver, and so much of Jaeger's query API that a trace can be read back by its id.

It has no search and no pages. Like Jaeger's own storage in memory it forgets the oldest traces.
"""

import json
import os
import signal
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import otlp

KEPT = int(os.environ.get("MEMORY_MAX_TRACES", "1000"))
TRACES: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
LOCK = threading.Lock()


def take(request: bytes, context: grpc.ServicerContext) -> bytes:
    """TraceService.Export; the answer has no fields."""
    try:
        found = list(otlp.spans(request))
    except (ValueError, IndexError, KeyError, AttributeError):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is no ExportTraceServiceRequest")
    with LOCK:
        for span in found:
            TRACES.setdefault(span["trace"], []).append(span)
        while len(TRACES) > KEPT:
            TRACES.popitem(last=False)
    return b""


def trace(name: str) -> dict[str, Any] | None:
    """A trace as Jaeger's API has it; times are in microseconds."""
    with LOCK:
        spans = list(TRACES.get(name, ()))
    if not spans:
        return None
    services = sorted({span["service"] for span in spans})
    processes = {service: f"p{n}" for n, service in enumerate(services, 1)}
    return {
        "traceID": name,
        "spans": [
            {
                "traceID": name,
                "spanID": span["id"],
                "operationName": span["name"],
                "references": [{"refType": "CHILD_OF", "traceID": name, "spanID": span["parent"]}]
                if span["parent"]
                else [],
                "startTime": span["start"] // 1000,
                "duration": (span["end"] - span["start"]) // 1000,
                "tags": [{"key": k, "type": "string", "value": v} for k, v in span["tags"].items()],
                "processID": processes[span["service"]],
            }
            for span in spans
        ],
        "processes": {key: {"serviceName": service, "tags": []} for service, key in processes.items()},
    }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/":
            return self.answer(200, {"status": "Server available", "standin": True})
        if path == "/api/services":
            with LOCK:
                services = sorted({span["service"] for spans in TRACES.values() for span in spans})
            return self.answer(200, {"data": services, "errors": None, "standin": True})
        if path.startswith("/api/traces/"):
            found = trace(path.removeprefix("/api/traces/"))
            if found is None:
                errors = [{"code": 404, "msg": "trace not found"}]
                return self.answer(404, {"data": None, "errors": errors, "standin": True})
            return self.answer(200, {"data": [found], "errors": None, "standin": True})
        return self.answer(
            404, {"errors": [{"code": 404, "msg": "this is a stand-in, not Jaeger"}], "standin": True}
        )

    def answer(self, status: int, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def receiver(address: str) -> tuple[grpc.Server, int]:
    """What takes spans, and its port. Whoever starts it keeps it: a server that nothing refers to is ended."""
    export = {"Export": grpc.unary_unary_rpc_method_handler(take)}
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, export),))
    # Not [::]: where a host has no IPv6, nothing would listen, and nothing would say so.
    port = server.add_insecure_port(address)
    if not port:
        raise SystemExit(f"{address} cannot be had")
    return server, port


if __name__ == "__main__":
    print("stand-in for Jaeger, listening on ports 16686, 14269 and 4317", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server, _ = receiver("0.0.0.0:4317")
    server.start()
    threading.Thread(target=ThreadingHTTPServer(("", 14269), Handler).serve_forever, daemon=True).start()
    ThreadingHTTPServer(("", 16686), Handler).serve_forever()
