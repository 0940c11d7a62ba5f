"""A `tenon serve` of a test: started, asked, signalled."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.parse


class Reply:
    """An HTTP answer, read whole."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def events(self):
        """Data of the event stream in order; None stands for [DONE]."""
        found = []
        for line in self.body.decode().split("\n"):
            if line.startswith("data: "):
                found.append(None if line == "data: [DONE]" else json.loads(line[6:]))
        return found


class Server:
    """The process and its two listeners. The port is any free one unless `words` name it."""

    def __init__(self, binary, model, *words, folder, env=None, ready=True, key=None):
        self.key = key
        self.log_path = pathlib.Path(folder) / f"serve-{time.monotonic_ns()}.log"
        ports = [] if "--port" in words else ["--port", "0", "--metrics-port", "0"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(binary), "serve", str(model), "--log-format", "json", *ports,
                 *map(str, words)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=folder)
        self.pid = self.process.pid
        first = self.wait_for(lambda: next((line for line in self.log() if "metrics" in line), None),
                              "its first line")
        self.url, self.admin_url = first["url"], first["metrics"]
        self.host, self.port = urllib.parse.urlsplit(self.url).netloc.split(":")
        if ready:
            self.wait_ready()

    def log(self):
        """The lines of the log so far, as objects; what is no JSON is left out."""
        lines = []
        for line in self.log_path.read_text(errors="replace").splitlines():
            if line.startswith("{"):
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    pass  # half written
        return lines

    def wait_for(self, found, what, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = found()
            if value:
                return value
            if self.process.poll() is not None:
                value = found()
                if value:
                    return value
                raise AssertionError(f"serve ended with {self.process.returncode} before {what}: "
                                     + self.log_path.read_text(errors="replace")[-2000:])
            time.sleep(0.01)
        raise AssertionError(f"no {what} in {seconds} s: "
                             + self.log_path.read_text(errors="replace")[-2000:])

    def wait_ready(self, seconds=20):
        self.wait_for(lambda: self.ask("GET", "/readyz").status == 200, "readiness", seconds)

    def connect(self, timeout=60):
        return http.client.HTTPConnection(self.host, int(self.port), timeout=timeout)

    def ask(self, method, path, body=None, key=None, admin=False, headers=None, connection=None):
        """`connection`: one that is kept; else one of its own."""
        own = connection is None
        if own:
            netloc = urllib.parse.urlsplit(self.admin_url if admin else self.url).netloc
            connection = http.client.HTTPConnection(netloc, timeout=60)
        try:
            given = dict(headers or {})
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            if body is not None:
                given.setdefault("Content-Type", "application/json")
            key = key or self.key
            if key:
                given.setdefault("Authorization", f"Bearer {key}")
            connection.request(method, path, body, given)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            if own:
                connection.close()

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, body, **options):
        return self.ask("POST", path, body, **options)

    def engine_pid(self):
        """The engine process, which is its only child; 0 while there is none."""
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                words = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            if int(words[1]) == self.pid and words[0] != "Z":
                return int(stat.parent.name)
        return 0

    def figures(self):
        """Samples of /metrics: name with labels -> number."""
        found = {}
        for line in self.get("/metrics", admin=True).body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def stats(self):
        return self.get("/server_info").json["stats"]

    def stop(self, number=signal.SIGINT, seconds=20):
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
