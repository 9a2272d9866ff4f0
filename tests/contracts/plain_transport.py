"""A small transport on the standard library that keeps the contract, so that others can break one rule at a time."""

from __future__ import annotations

import http.client
import os
import select
import threading
import time
from urllib.parse import urlsplit

from memtrace.exceptions import ClientClosedError
from memtrace.transport import Headers, Response, TransportError


class Plain:
    """Blocking; keeps idle connections."""

    def __init__(self, options):
        self.options = options
        self.closed = False
        self.idle = []
        self.pid = os.getpid()
        self.guard = threading.Lock()

    def send(self, request):
        if self.closed:
            raise ClientClosedError
        connection, end = self.connected(request), time.monotonic() + (request.timeout or 60)
        try:
            self.write(connection, request, end)
            response, kept = self.read(connection, end)
        except Exception as error:  # noqa: BLE001 - translated, all of them
            connection.close()
            raise self.failure(error, request) from None
        if kept:
            self.give_back(connection)
        return response

    def connected(self, request):
        kept = self.take(request.origin)
        if kept is not None:
            return kept
        parts = urlsplit(request.origin)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=request.timeout)
        try:
            connection.connect()
        except TimeoutError:
            raise self.error(f"no connection to {request.origin} in time", "timeout", maybe_sent=False) from None
        except OSError as error:
            raise self.error(f"no connection to {request.origin}: {error}", "connect", maybe_sent=False) from None
        connection.origin = request.origin
        return connection

    def take(self, origin):
        if self.pid != os.getpid():
            self.idle, self.pid = [], os.getpid()
        with self.guard:
            for connection in [each for each in self.idle if each.origin == origin]:
                self.idle.remove(connection)
                if self.is_silent(connection):
                    return connection
                connection.close()
        return None

    def is_silent(self, connection):
        return select.select([connection.sock], [], [], 0)[0] == []

    def give_back(self, connection):
        with self.guard:
            if not self.closed:
                self.idle.append(connection)
                return
        connection.close()

    def write(self, connection, request, end):
        body = self.body(request)
        connection.sock.settimeout(max(end - time.monotonic(), 0.001))
        connection.putrequest(request.method, self.target(request), skip_accept_encoding=True)
        for name, value in self.headers(request):
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)

    def body(self, request):
        return request.body

    def target(self, request):
        return request.target

    def headers(self, request):
        return request.headers.multi_items

    def read(self, connection, end):
        connection.sock.settimeout(max(end - time.monotonic(), 0.001))
        answer = connection.getresponse()
        if answer.status < 200:  # the library skips 100 alone
            raise http.client.HTTPException
        body = self.read_body(connection, answer, end)
        return Response(answer.status, Headers(answer.getheaders()), body), not answer.will_close

    def read_body(self, connection, answer, end):
        return answer.read()

    def failure(self, error, request):
        if isinstance(error, TimeoutError):
            return self.error(f"no response from {request.origin} in time", "timeout", maybe_sent=True)
        if isinstance(error, OSError):  # before HTTPException: RemoteDisconnected is both
            return self.error(f"the connection to {request.origin} broke", "reset", maybe_sent=True)
        if isinstance(error, http.client.HTTPException):
            return self.error(f"{request.origin} did not answer in HTTP", "protocol", maybe_sent=True)
        return error

    def error(self, text, cause, *, maybe_sent):
        return TransportError(text, cause=cause, maybe_sent=maybe_sent)

    def close(self):
        self.closed = True
        while self.idle:
            self.idle.pop().close()
