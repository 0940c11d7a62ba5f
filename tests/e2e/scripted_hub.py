"""A hub, its content server and an S3 server on loopback, as a script: what `tenon pull` meets is what a test says."""
import hashlib
import http.server
import json
import random
import re
import ssl
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def content(size, seed=1):
    return b"GGUF" + random.Random(seed).randbytes(size - 4)


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Rule:
    """What happens to requests of a path that `pattern` finds: `times` times, then nothing more."""

    def __init__(self, pattern, times=10 ** 9, **does):
        self.pattern, self.times, self.does = re.compile(pattern), times, does


class Hub:
    """files: {"org/repo": {"name.gguf": bytes}}. LFS files are redirected to a second origin, as the real one does.

    rules, first match wins; keys of `does`: status, headers, body: answer this; cut: close after so many bytes of
    body; stall: seconds before each piece; etag: of the content server; ranges=False: ignores Range; extra: bytes
    beyond what was asked; sha256: what the listing says; location: redirect there.
    """

    def __init__(self, files=None):
        self.files = files or {}
        self.rules = []
        self.requests = []  # (server, method, path, headers)
        self.plain = {}     # path of the content server -> bytes
        self.token = None   # wanted where set
        self.lock = threading.Lock()
        self.busiest = self.active = 0
        self.hub = self.listen("hub")
        self.cdn = self.listen("cdn")
        self.url = f"http://127.0.0.1:{self.hub.server_port}"
        self.cdn_url = f"http://127.0.0.1:{self.cdn.server_port}"

    def listen(self, name):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_name = name

            def log_message(self, *_):
                pass

            def do_GET(self):
                try:
                    owner.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_GET

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that is gone

        server = Server(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def use_tls(self, certificate, key):
        """From now on both speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        for server in (self.hub, self.cdn):
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = self.url.replace("http:", "https:")
        self.cdn_url = self.cdn_url.replace("http:", "https:")

    def close(self):
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()

    def on(self, pattern, times=10 ** 9, **does):
        self.rules.append(Rule(pattern, times, **does))

    def find_rule(self, path):
        with self.lock:
            for rule in self.rules:
                if rule.times > 0 and rule.pattern.search(path):
                    rule.times -= 1
                    return rule.does
        return {}

    def sent(self, server=None, path=""):
        return [r for r in self.requests if (server is None or r[0] == server) and path in r[2]]

    # One request.

    def answer(self, http_):
        path = urllib.parse.unquote(http_.path)
        with self.lock:
            self.requests.append((http_.server_name, http_.command, path, dict(http_.headers)))
        does = self.find_rule(http_.server_name + path)
        if "location" in does:
            return self.reply(http_, 302, b"", {"Location": does["location"]})
        if "status" in does:
            return self.reply(http_, does["status"], does.get("body", b""), does.get("headers", {}))
        if http_.server_name == "cdn":
            data = self.plain.get(path.split("?")[0])
            if data is None:
                return self.reply(http_, 404, b"nothing here")
            return self.send_file(http_, data, does)
        if self.token and http_.headers.get("Authorization") != f"Bearer {self.token}":
            return self.reply(http_, 401, b"", {"X-Error-Code": "RepoNotFound"})
        listing = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/?]+)(\?.*)?", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if listing and listing[1] in self.files:
            return self.reply(http_, 200, self.listing(listing[1], does), {"Content-Type": "application/json"})
        if resolve and resolve[3] in self.files.get(resolve[1], {}):
            return self.resolve(http_, resolve[1], resolve[3], does)
        return self.reply(http_, 404, b"", {"X-Error-Code": "EntryNotFound" if resolve else "RepoNotFound"})

    def listing(self, repo, does):
        siblings = []
        for name, data in self.files[repo].items():
            one = {"rfilename": name, "size": len(data), "blobId": git_blob(data)}
            if not name.endswith((".md", ".json")):
                sha256 = does.get("sha256", hashlib.sha256(data).hexdigest())
                one["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            siblings.append(one)
        return json.dumps({"id": repo, "modelId": repo, "sha": COMMIT, "private": False, "tags": [],
                           "downloads": 0, "siblings": siblings}).encode()

    def resolve(self, http_, repo, name, does):
        data = self.files[repo][name]
        headers = {"X-Repo-Commit": COMMIT}
        if name.endswith((".md", ".json")):
            return self.send_file(http_, data, {"etag": f'"{git_blob(data)}"', **does}, headers)
        sha256 = hashlib.sha256(data).hexdigest()
        self.plain[f"/blobs/{sha256}"] = data
        return self.reply(http_, 302, b"", {
            **headers, "X-Linked-Etag": f'"{does.get("linked", sha256)}"', "X-Linked-Size": str(len(data)),
            "ETag": f'"{sha256}"', "Location": f"{self.cdn_url}/blobs/{sha256}?signature=s"})

    def reply(self, http_, status, body, headers=None):
        http_.send_response(status)
        for name, value in (headers or {}).items():
            http_.send_header(name, value)
        http_.send_header("Content-Length", str(len(body)))
        http_.end_headers()
        if http_.command != "HEAD":
            http_.wfile.write(body)

    def send_file(self, http_, data, does, headers=None):
        etag = does.get("etag", f'"{hashlib.md5(data).hexdigest()}"')
        begin, end, status = 0, len(data), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", http_.headers.get("Range", ""))
        condition = http_.headers.get("If-Range", etag)
        if asked and does.get("ranges", True) and condition == etag:
            begin = int(asked[1])
            end = min(len(data), int(asked[2]) + 1 if asked[2] else len(data))
            status = 206
            if begin >= len(data):
                return self.reply(http_, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
        body = data[begin:end]
        http_.send_response(status)
        for name, value in {**(headers or {}), "ETag": etag, "Accept-Ranges": "bytes"}.items():
            http_.send_header(name, value)
        if status == 206:
            http_.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        if "extra" in does:
            body += b"x" * does["extra"]
            http_.send_header("Transfer-Encoding", "chunked")
        elif does.get("length", True):
            http_.send_header("Content-Length", str(len(body)))
        else:
            http_.send_header("Connection", "close")
            http_.close_connection = True
        http_.end_headers()
        if http_.command == "HEAD":
            return
        with self.lock:
            self.active += 1
            self.busiest = max(self.busiest, self.active)
        try:
            self.send_body(http_, body, does)
        finally:
            with self.lock:
                self.active -= 1

    def send_body(self, http_, body, does):
        limit = does.get("cut", len(body))
        step = does.get("piece", 65536)
        for at in range(0, min(limit, len(body)), step):
            if does.get("stall"):
                time.sleep(does["stall"])
            piece = body[at:min(at + step, limit)]
            if "extra" in does:
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            http_.wfile.write(piece)
        if "extra" in does:
            http_.wfile.write(b"0\r\n\r\n")
        if limit < len(body):
            http_.wfile.flush()
            http_.close_connection = True
            http_.connection.shutdown(2)
