"""A loopback server over TLS with a certificate authority of its own, made by the `openssl` command."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading


class Authority:
    """Keys and certificates in a folder: of the authority, the server and a client."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = folder / "ca.pem"
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test CA")
        (folder / "key.pem").rename(folder / "ca.key")
        (folder / "cert.pem").rename(self.ca)
        self.server = self._issue("server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.client = self._issue("client", "extendedKeyUsage=clientAuth")

    def _issue(self, name, extension):
        certificate, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        self._call("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        (self.folder / "extension").write_text(extension)
        self._call(
            "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial"
            , "-days", "2", "-extfile", self.folder / "extension", "-out", certificate,
        )  # fmt: skip
        return certificate, key

    def _run(self, *arguments):
        self._call(*arguments, "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem")

    def _call(self, *arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        peer = self.connection.getpeercert()
        body = repr(dict(pair[0] for pair in peer["subject"])["commonName"] if peer else None).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass


class TlsServer:
    """Answers with the name in the client's certificate, or None."""

    def __init__(self, authority, *, wants_client=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.server)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(authority.ca)
        self._server = _Quiet(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
