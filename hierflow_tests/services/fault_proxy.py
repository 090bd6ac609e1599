"""An HTTP proxy before the S3 API that counts requests and answers some with errors."""

from __future__ import annotations

import http.client
import http.server
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

RESET = "reset"
Fault = tuple[int, str] | str | None
"""Status and S3 error code of an answer, :data:`RESET` for a connection that breaks, None to pass the request on."""


class FaultProxy(http.server.ThreadingHTTPServer):
    """The proxy.

    Attributes:
        fault: of a request's method and path.
        calls: how many requests of each method have come.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.fault: Callable[[str, str], Fault] = lambda method, path: None
        self.calls: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """The proxy's own address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A running proxy before the server at `upstream`."""
    with FaultProxy(upstream) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: FaultProxy

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def _answer(self) -> None:
        body = self._body()
        self.server.calls[self.command] += 1
        fault = self.server.fault(self.command, self.path)
        if fault == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif isinstance(fault, tuple):
            status, code = fault
            text = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            self._send(status, [("Content-Type", "application/xml")], text)
        else:
            self._send(*self._ask_upstream(body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _ask_upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        dropped = ("connection", "transfer-encoding", "content-length", "expect")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
        answer = connection.getresponse()
        data = answer.read()
        headers_back = answer.getheaders()
        connection.close()
        return answer.status, headers_back, data

    def _send(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        own = ("connection", "transfer-encoding", "date", "server")
        sizes = [value for name, value in headers if name.lower() == "content-length"]
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in (*own, "content-length"):
                self.send_header(name, value)
        head = self.command == "HEAD"
        self.send_header("Content-Length", sizes[0] if head and sizes else str(len(data)))
        self.end_headers()
        if not head:
            self.wfile.write(data)
        self.wfile.flush()
