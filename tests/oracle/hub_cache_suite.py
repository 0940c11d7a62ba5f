#!/usr/bin/env python3
"""The cache that `tenon pull` shares with huggingface_hub: what either fetches, the other finds.

hub_cache_suite.py TENON, in an environment with requirements-hub.txt. Both talk to the scripted hub of tests/e2e.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import scripted_hub  # noqa: E402

FOLDER = tempfile.TemporaryDirectory(prefix="tenon-hub-")
HUB = scripted_hub.Hub()
ENVIRONMENT = {**os.environ, "HOME": FOLDER.name, "HF_HOME": f"{FOLDER.name}/hf", "HF_ENDPOINT": HUB.url,
               "HF_HUB_DISABLE_TELEMETRY": "1", "TENON_CATALOG": f"{FOLDER.name}/none"}
os.environ.update(ENVIRONMENT)
import huggingface_hub  # noqa: E402  (reads the environment when it is imported)

TENON = str(pathlib.Path(sys.argv[1]).absolute())
MIB = 1 << 20
failures = []


def check(what, truth):
    print(f"{'ok' if truth else 'FAILED'}: {what}", flush=True)
    if not truth:
        failures.append(what)


def tenon(*words):
    done = subprocess.run([TENON, *words], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr)
    return done.stdout.strip()


def download(name, **options):
    return huggingface_hub.hf_hub_download("org/repo", name, **options)


def fetches():
    return len([r for r in HUB.sent("cdn") if r[1] == "GET"])


HUB.files["org/repo"] = {f"{name}.gguf": scripted_hub.content(size, seed) for seed, (name, size) in enumerate(
    {"m-Q4_0": 3 * MIB, "sub/m-Q8_0": 2 * MIB, "m-F16": 6 * MIB, "m-F32": 8 * MIB}.items())}
HUB.files["org/repo"]["README.md"] = b"# a model\n"

path = tenon("pull", "org/repo:Q4_0")
check("what tenon pulled, huggingface_hub finds offline", download("m-Q4_0.gguf", local_files_only=True) == path)
before = fetches()
check("and does not fetch again online", download("m-Q4_0.gguf") == path and fetches() == before)

path = download("sub/m-Q8_0.gguf")
before = fetches()
check("what huggingface_hub fetched, tenon finds", tenon("pull", "org/repo:Q8_0") == path and fetches() == before)
check("also offline", tenon("pull", "org/repo:Q8_0", "--offline") == path)
check("and lists", "org/repo:Q8_0" in tenon("models"))
download("README.md")

HUB.on("cdn/blobs", stall=0.02, piece=1 << 17)
before = fetches()
other = threading.Thread(target=download, args=("m-F16.gguf",))
other.start()
while fetches() == before:
    time.sleep(0.01)
whole = tenon("pull", "org/repo:F16")
other.join()
got = [r for r in HUB.sent("cdn") if r[1] == "GET"][before:]
check("tenon waits for huggingface_hub's lock", len(got) == 1 and pathlib.Path(whole).stat().st_size == 6 * MIB)

before = fetches()
child = subprocess.Popen([TENON, "pull", "org/repo:F32"], env=ENVIRONMENT, stderr=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL)
while fetches() < before + 3:
    time.sleep(0.01)
path = download("m-F32.gguf")
check("huggingface_hub waits for tenon's lock", child.wait() == 0 and
      pathlib.Path(path).read_bytes() == HUB.files["org/repo"]["m-F32.gguf"] and fetches() == before + 9)

tenon("rm", "org/repo:F32", "--yes")
child = subprocess.Popen([TENON, "pull", "org/repo:F32"], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
while not list(pathlib.Path(FOLDER.name).rglob("*.tenon.incomplete")):
    time.sleep(0.01)
time.sleep(0.3)
child.kill()
child.wait()
path = download("m-F32.gguf")
check("a pull that was killed does not spoil huggingface_hub's",
      pathlib.Path(path).read_bytes() == HUB.files["org/repo"]["m-F32.gguf"])

info = huggingface_hub.scan_cache_dir()
names = {file.file_name for repo in info.repos for revision in repo.revisions for file in revision.files}
check("scan_cache_dir has no warning and sees all files", not info.warnings and len(names) == 5)
tenon("rm", "org/repo:Q4_0", "--yes")
info = huggingface_hub.scan_cache_dir()
names = {file.file_name for repo in info.repos for revision in repo.revisions for file in revision.files}
check("after tenon rm it has no warning and sees the others", not info.warnings and len(names) == 4)
tenon("rm", "org/repo", "--yes")
check("other files of the repository stay", download("README.md", local_files_only=True).endswith("README.md"))
check("nothing but they", {p.name for p in pathlib.Path(FOLDER.name).rglob("*.gguf")} == set())

HUB.close()
print(f"{len(failures)} failures")
sys.exit(1 if failures else 0)
