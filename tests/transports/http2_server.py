"""A loopback server that speaks HTTP/2 over TLS and answers each request with its headers, as JSON."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading


class Http2Server:
    def __init__(self, authority):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.server)
        context.set_alpn_protocols(["h2"])
        self._listening = context.wrap_socket(
            socket.create_server(("127.0.0.1", 0)), server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self.connections = 0

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *raised):
        self._listening.shutdown(socket.SHUT_RDWR)  # which ends the waiting for a connection
        self._listening.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    @staticmethod
    def _serve(client):
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.events import DataReceived, RequestReceived, StreamEnded

        with client, contextlib.suppress(OSError):
            http2, headers = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8")), {}
            http2.initiate_connection()
            client.sendall(http2.data_to_send())
            while received := client.recv(1 << 16):
                for event in http2.receive_data(received):
                    if isinstance(event, RequestReceived):
                        headers[event.stream_id] = dict(event.headers)
                    elif isinstance(event, DataReceived):
                        http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamEnded):
                        http2.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
                        body = json.dumps({"sent": len(headers.pop(event.stream_id)), "version": 2}).encode()
                        http2.send_data(event.stream_id, body, end_stream=True)
                client.sendall(http2.data_to_send())
