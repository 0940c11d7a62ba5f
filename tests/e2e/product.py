"""How the tests call the program."""
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TINY = ROOT / "tests" / "golden" / "tiny"
BINARY = pathlib.Path(os.environ.get("TENON_BINARY", "tenon")).absolute()
BACKENDS = BINARY.parents[1] / "lib" / "tenon" / "plugins"
EXIT_CODES = (0, 1, 2, 78)

Answer = collections.namedtuple("Answer", "code out err")


def has_backend(name):
    return (BACKENDS / name).is_dir()


class ProductTest(unittest.TestCase):
    """Each test runs in an empty folder of its own, which is its home too; `model.gguf` lies there."""
    needs_backend = "cpu"
    model = "llama3-tied-f32.gguf"

    def setUp(self):
        if not BINARY.is_file():
            self.fail(f"{BINARY} is not there; TENON_BINARY names the program")
        if self.needs_backend and not has_backend(self.needs_backend):
            self.skipTest(f"this build has no {self.needs_backend} backend (TENON_BACKENDS)")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder)
        shutil.copy(TINY / self.model, self.folder / "model.gguf")

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("TENON_", "XDG_"))}
        return {**kept, "HOME": str(self.folder), "LC_ALL": "C", **more}

    def start(self, *words, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("env", self.environment())
        return subprocess.Popen([str(BINARY), *map(str, words)], cwd=self.folder, **options)

    def call(self, *words, stdin="", env=None, timeout=60):
        done = subprocess.run([str(BINARY), *map(str, words)], cwd=self.folder, timeout=timeout,
                              input=stdin.encode(), env=self.environment(**(env or {})),
                              capture_output=True)
        self.assertIn(done.returncode, EXIT_CODES, f"tenon {words}: {done.stderr}")
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *words, **options):
        answer = self.call(*words, **options)
        self.assertEqual(answer.code, 0, f"tenon {words}: {answer.err}")
        self.assertEqual(answer.err, "", words)
        return answer.out

    def json(self, *words, **options):
        text = self.good(words[0], "--json", *words[1:], **options)
        self.assertEqual(text.count("\n"), 1, "one object on one line")
        return json.loads(text)

    def refused(self, *words, code=1, **options):
        """The one sentence of a refusal, without the program's name."""
        answer = self.call(*words, **options)
        self.assertEqual(answer.code, code, f"tenon {words}: {answer.err}")
        self.assertEqual(answer.out, "", words)
        self.assertTrue(answer.err.startswith("tenon"), answer.err)
        if code == 1:
            self.assertEqual(answer.err.count("\n"), 1, answer.err)
        return answer.err.split(": ", 1)[1]


def main():
    if not os.environ.get("TENON_BINARY"):
        sys.exit("TENON_BINARY must name the program to test")
    unittest.main(verbosity=1)
