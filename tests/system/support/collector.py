# SPDX-License-Identifier: MPL-2.0
"""A collector of OpenTelemetry, as far as riposte-broker --otlp needs one: it takes OTLP/JSON over HTTP, and
misbehaves as it is told."""

import http.server
import json
import threading


class Collector:
    """status: what it answers with. answer: the body of that. silent: set, it answers nothing until it is closed."""

    def __init__(self, port=0):
        self.status = 200
        self.headers = {}
        self.answer = b"{}"
        self.silent = False
        self.requests = []  # (path, headers, document)
        self.connections = 0
        self._closed = threading.Event()
        self._lock = threading.Lock()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def setup(self):
                super().setup()
                collector.connections += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if collector.silent:
                    collector._closed.wait()
                    self.close_connection = True
                    return
                with collector._lock:
                    collector.requests.append((collector.status, self.path, dict(self.headers), json.loads(body)))
                self.send_response(collector.status)
                for name, value in {**collector.headers, "Content-Length": str(len(collector.answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(collector.answer)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # the broker ended in the middle

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def spans(self):
        """The spans that were taken (answered with 200), in the order in which they came; attributes as a dict."""
        with self._lock:
            requests = list(self.requests)
        return [{**span, "attributes": attributes(span)} for status, _, _, document in requests if status == 200
                for resource in document["resourceSpans"] for scope in resource["scopeSpans"]
                for span in scope["spans"]]

    def close(self):
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def attributes(item):
    return {one["key"]: next(iter(one["value"].values())) for one in item["attributes"]}
