"""An HTTP proxy on loopback as a script: sends on what it is asked for, or refuses."""
import base64
import socket
import threading
import urllib.parse


class Proxy:
    """login: "user:password" that it wants. refuse: a status for everything. early: bytes behind its 200."""

    def __init__(self, login=None, refuse=None, early=b"", scheme="Basic"):
        self.login, self.refuse, self.early, self.scheme = login, refuse, early, scheme
        self.requests = []  # (method, target, headers)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def asked(self, method):
        return [target for name, target, _ in self.requests if name == method]

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            self.answer(client)
        except OSError:
            pass
        finally:
            client.close()

    def answer(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        lines = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        self.requests.append((method, target, headers))
        wanted = self.login and "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.refuse or headers.get("proxy-authorization") != wanted:
            status = self.refuse or f"407 Login\r\nProxy-Authenticate: {self.scheme} realm=x"
            client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno".encode())
            return
        if method == "CONNECT":
            host, port = target.rsplit(":", 1)
        else:
            url = urllib.parse.urlsplit(target)
            host, port = url.hostname, url.port
        with socket.create_connection((host, int(port))) as server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n" + self.early)
            else:
                # One request a connection: the origin closes when it has answered.
                path = target.split("/", 3)[3]
                kept = [line for line in lines[1:] if not line.lower().startswith(("proxy-", "connection:"))]
                server.sendall("\r\n".join([f"{method} /{path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode())
            back = threading.Thread(target=self.copy, args=(server, client), daemon=True)
            back.start()
            self.copy(client, server)
            back.join()

    @staticmethod
    def copy(source, sink):
        try:
            while True:
                piece = source.recv(65536)
                if not piece:
                    break
                sink.sendall(piece)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
