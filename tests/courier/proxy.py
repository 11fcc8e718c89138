# SPDX-License-Identifier: GPL-3.0-or-later
"""A small real CONNECT proxy: with Basic or Digest authentication (RFC 7617, 7616), over TLS where wanted."""
import base64
import hashlib
import re
import socket
import ssl
import threading


class Proxy:
    def __init__(self, auth=None, user="laptop", password="pass word:1", names=None, refuse=None, tls=None):
        self.auth, self.user, self.password, self.refuse = auth, user, password, refuse
        self.names = names or {}  # host -> (address, port), as a resolver that only the proxy can ask
        self.asked, self.passed = [], b""
        self.tls = tls
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def url(self, user_info="", scheme="http"):
        return f"{scheme}://{user_info}127.0.0.1:{self.port}"

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        try:
            if self.tls:
                c = self.tls.wrap_socket(c, server_side=True)
            with c:
                while self.request(c):
                    pass
        except (OSError, ValueError):
            pass

    def request(self, c):
        head = b""
        while b"\r\n\r\n" not in head:
            more = c.recv(4096)
            if not more:
                return False
            head += more
        lines = head.decode().split("\r\n")
        method, target, _ = lines[0].split()
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if ":" in line)}
        self.asked.append((method, target, headers))
        if self.refuse:
            c.sendall(f"HTTP/1.1 {self.refuse} no\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        if self.auth and not self.admits(method, target, headers.get("proxy-authorization", "")):
            offer = 'Basic realm="p"' if self.auth == "Basic" else 'Digest realm="p", nonce="n0nce", qop="auth"'
            c.sendall(f"HTTP/1.1 407 who\r\nProxy-Authenticate: {offer}\r\nContent-Length: 0\r\n\r\n".encode())
            return True
        host, port = target.rsplit(":", 1)
        with socket.create_connection(self.names.get(host, (host, int(port))), 5) as to:
            c.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self.copy, args=(to, c), daemon=True)
            back.start()
            self.copy(c, to)
            back.join(10)
        return False

    def copy(self, a, b):
        try:
            while data := a.recv(65536):
                self.passed += data
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def admits(self, method, target, given):
        if self.auth == "Basic":
            return given == "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        f = dict(re.findall(r'(\w+)="?([^",]*)"?', given))

        def h(text):
            return hashlib.md5(text.encode()).hexdigest()
        if not given.startswith("Digest ") or f.get("nonce") != "n0nce":
            return False
        want = h(":".join([h(f"{self.user}:p:{self.password}"), "n0nce", f["nc"], f["cnonce"], "auth",
                           h(f"{method}:{target}")]))
        return f.get("username") == self.user and f.get("response") == want

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def tls_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server_files())
    return context
