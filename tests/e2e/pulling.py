"""A test of `tenon pull` and what comes with it: a scripted hub, an empty cache, a catalog of its own."""
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import struct
import termios

import product
import scripted_hub

MIB = 1 << 20


class PullTest(product.ProductTest):
    needs_backend = None

    def setUp(self):
        super().setUp()
        self.hub = scripted_hub.Hub()
        self.addCleanup(self.hub.close)
        (self.folder / "catalog").mkdir()
        self.cache = self.folder / ".cache" / "huggingface" / "hub"
        self.repo = self.cache / "models--org--repo"
        self.models = self.folder / ".cache" / "tenon" / "models"

    def environment(self, **more):
        kept = {name: value for name, value in super().environment().items()
                if not name.startswith(("HF_", "HUGGING", "AWS_", "TRANSFORMERS_", "SSL_CERT")) and
                not name.lower().endswith("_proxy")}
        return {**kept, "HF_ENDPOINT": self.hub.url, "TENON_CATALOG": str(self.folder / "catalog"), **more}

    def serve(self, **files):
        """A repository org/repo of these files, named without their ".gguf"."""
        self.hub.files["org/repo"] = {f"{name}.gguf": data for name, data in files.items()}

    def entry(self, name, data, *sources, **more):
        fields = {"file": f"{name}.gguf", "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}
        lines = [f"{key}: {value}" for key, value in fields.items()] + ["sources:"]
        for source in sources:
            lines += [f"{'  - ' if i == 0 else '    '}{key}: {value}" for i, (key, value) in enumerate(source.items())]
        (self.folder / "catalog" / f"{name}.yaml").write_text("\n".join(lines) + "\n")

    def pull(self, *words, **options):
        """The one object of a pull that worked."""
        answer = self.call("pull", "--json", *words, **options)
        self.assertEqual(answer.code, 0, answer.err)
        return json.loads(answer.out)

    def fails(self, *words, code=1, **options):
        """Standard error of a pull that did not; its last line is the reason."""
        answer = self.call("pull", *words, **options)
        self.assertEqual((answer.code, answer.out), (code, ""), answer.err)
        return answer.err

    def assert_whole(self, path, data):
        self.assertEqual(pathlib.Path(path).read_bytes(), data)

    def finals(self):
        """Names of whole files anywhere, blobs and models."""
        return sorted(str(p.relative_to(self.folder)) for place in (self.cache, self.models)
                      for p in place.rglob("*") if p.is_file() and ".locks" not in p.parts and
                      ".incomplete" not in p.name and p.name != "CACHEDIR.TAG" and "refs" not in p.parts)

    def on_terminal(self, *words, typed="", env=None):
        """Exit code, and what a terminal of 100 columns showed."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(product.BINARY, [str(product.BINARY), *words], {**self.environment(**(env or {})), "TERM": "xterm"})
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        os.write(terminal, typed.encode())
        shown = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()
