# SPDX-License-Identifier: GPL-3.0-or-later
"""A small real HTTPS server, and CAs made by OpenSSL's command."""
import gzip
import http.server
import json
import os
import ssl
import subprocess
import tempfile
import threading


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, check=True, capture_output=True, timeout=120).stdout


class Authority:
    """One CA in a folder of its own."""

    def __init__(self, name):
        self.dir = tempfile.TemporaryDirectory()
        self.key, self.path = os.path.join(self.dir.name, "ca.key"), os.path.join(self.dir.name, "ca.pem")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key,
                "-out", self.path, "-days", "30", "-subj", f"/CN={name}")
        with open(self.path, "rb") as f:
            self.pem = f.read()

    def _config(self, extensions):
        """A CA configuration of OpenSSL's that knows nothing but a database of its own."""
        path = os.path.join(self.dir.name, "ca.conf")
        with open(os.path.join(self.dir.name, "index"), "w"):
            pass
        with open(path, "w") as f:
            f.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={self.dir.name}/index\nnew_certs_dir={self.dir.name}\n"
                    "default_md=sha256\npolicy=p\nunique_subject=no\nrand_serial=yes\nx509_extensions=e\n"
                    f"[p]\ncommonName=supplied\n[e]\n{extensions}\n")
        return path

    def sign(self, csr, extensions="", start="20260101000000Z", end="20400101000000Z"):
        out = os.path.join(self.dir.name, "signed.pem")
        openssl("ca", "-config", self._config(extensions), "-batch", "-notext", "-keyfile", self.key, "-cert", self.path,
                "-startdate", start, "-enddate", end, "-in", "/dev/stdin", "-out", out, stdin=csr)
        with open(out, "rb") as f:
            return f.read()

    def server_files(self, name="IP:127.0.0.1", **when):
        key = os.path.join(self.dir.name, "server.key")
        csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                      "-subj", "/CN=server")
        chain = os.path.join(self.dir.name, "server.pem")
        with open(chain, "wb") as f:
            f.write(self.sign(csr, f"subjectAltName={name}\nextendedKeyUsage=serverAuth", **when))
        return chain, key


class Server:
    """answer(path, request) gives (status, headers, body bytes); requests are kept for the test to look at."""

    def __init__(self, authority, answer, clients=None, tls12=False, **certificate):
        self.requests = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                request = json.loads(gzip.decompress(raw)) if self.headers["Content-Encoding"] == "gzip" else None
                peer = self.connection.getpeercert() or {}
                cn = [v for rdn in peer.get("subject", ()) for k, v in rdn if k == "commonName"]
                outer.requests.append((self.path, request, cn, dict(self.headers)))
                status, headers, body = answer(self.path, request)
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # the courier hung up, as it may

            def log_message(self, *_):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a refused handshake is what some checks want

        self.http = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.server_files(**certificate))
        if tls12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if clients:
            context.load_verify_locations(clients.path)
            context.verify_mode = ssl.CERT_OPTIONAL
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def packed(value, status=200):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return status, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(body)
