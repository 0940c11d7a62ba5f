#!/usr/bin/python3
"""`tenon pull org/repo` against a scripted hub on loopback: where files lie, refusals, trouble on the way."""
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import time

import product
import pulling
import scripted_hub
from pulling import MIB
from scripted_hub import COMMIT, content


class LayoutTest(pulling.PullTest):
    def test_files_lie_as_the_hubs_own_package_lays_them(self):
        data = content(3 * MIB)
        self.serve(**{"m-Q4_0": data, "m-Q8_0": content(1000)})
        done = self.pull("org/repo:q4_0")
        digest = hashlib.sha256(data).hexdigest()
        link = self.repo / "snapshots" / COMMIT / "m-Q4_0.gguf"
        self.assertEqual(done["path"], str(link))
        self.assertEqual(done["name"], "org/repo:Q4_0")
        self.assertEqual((done["bytes"], done["fetched_bytes"]), (len(data), len(data)))
        self.assertEqual(os.readlink(link), f"../../blobs/{digest}")
        self.assertEqual((self.repo / "refs" / "main").read_text(), COMMIT)
        self.assertTrue((self.cache / ".locks" / "models--org--repo" / f"{digest}.lock").is_file())
        self.assert_whole(link, data)
        self.assertEqual(os.listdir(self.repo / "blobs"), [digest])
        again = self.pull("org/repo:Q4_0")
        self.assertEqual((again["fetched_bytes"], again["source"]), (0, ""))

    def test_parts_come_at_the_same_time(self):
        data = content(8 * MIB)
        self.serve(m=data)
        self.hub.on("cdn/blobs", stall=0.05, piece=1 << 18)
        self.assert_whole(self.pull("org/repo")["path"], data)
        self.assertGreaterEqual(self.hub.busiest, 3)
        ranges = {headers.get("Range") for _, _, _, headers in self.hub.sent("cdn", "/blobs/")}
        self.assertEqual(len(ranges - {"bytes=0-0"}), 8)

    def test_one_connection_is_one(self):
        self.serve(m=content(3 * MIB))
        self.pull("org/repo", "--connections", "1")
        self.assertEqual(self.hub.busiest, 1)

    def test_split_models_come_whole(self):
        parts = {f"s/m-Q4_K_M-0000{i}-of-00003": content(MIB + i, i) for i in (1, 2, 3)}
        self.serve(**parts, **{"m-F16": content(100)})
        done = self.pull("org/repo")
        self.assertEqual([pathlib.Path(p).name for p in done["files"]],
                         [f"m-Q4_K_M-0000{i}-of-00003.gguf" for i in (1, 2, 3)])
        for path, data in zip(done["files"], parts.values()):
            self.assert_whole(path, data)

    def test_small_files_and_git_files_are_checked_too(self):
        self.serve(**{"empty": b"", "m-Q4_0": content(10)})
        self.hub.files["org/repo"]["config.json"] = b'{"a": 1}'
        self.assert_whole(self.pull("org/repo:empty")["path"], b"")
        path = self.pull(f"{self.hub.url}/org/repo/resolve/main/config.json")["path"]
        self.assert_whole(path, b'{"a": 1}')
        self.assertEqual(os.readlink(path).rsplit("/", 1)[1], scripted_hub.git_blob(b'{"a": 1}'))

    def test_a_name_that_is_not_clear_lists_what_there_is(self):
        self.serve(**{"a-Q4_0": content(9), "b-Q4_0": content(9), "b-Q8_0": content(9)})
        self.assertIn("has no 'Q5_K_M'; it has: a-Q4_0, b-Q4_0, Q8_0", self.fails("org/repo:Q5_K_M"))
        self.assertIn("name one after a colon: a-Q4_0, b-Q4_0", self.fails("org/repo:Q4_0"))
        self.assertEqual(self.pull("org/repo:b-q4_0")["name"], "org/repo:Q4_0")

    def test_names_do_not_leave_the_cache(self):
        self.hub.files["org/repo"] = {"../../../../evil-Q4_0.gguf": content(9), "/tmp/evil-Q5_0.gguf": content(9),
                                      "good-Q8_0.gguf": content(9)}
        self.assertEqual(self.pull("org/repo")["name"], "org/repo:Q8_0")
        self.assertIn("it has: Q8_0", self.fails("org/repo:Q4_0"))
        for name in ("../repo", "org/..", "org/repo:../../x", "-x/y", "a/b/c"):
            self.fails("--", name)
        self.assertEqual([], [p for p in self.folder.rglob("*evil*")])


class RefusalTest(pulling.PullTest):
    def test_who_may_not_is_told_what_to_do(self):
        self.serve(m=content(100))
        self.hub.token = "hf_good"
        self.assertIn("does not exist or is private; for a private one set HF_TOKEN", self.fails("org/repo"))
        self.assertIn("the token in HF_TOKEN is not valid",
                      self.fails("org/repo", env={"HF_TOKEN": "hf_bad"}))
        self.pull("org/repo", env={"HF_TOKEN": "hf_good"})
        # To the hub, and to nobody whom it redirects to.
        self.assertTrue(all("Authorization" not in r[3] for r in self.hub.sent("cdn")))
        self.assertTrue(self.hub.sent("cdn"))

    def test_the_token_file_is_read(self):
        self.serve(m=content(100))
        self.hub.token = "hf_file"
        home = self.folder / "hf"
        home.mkdir()
        (home / "token").write_text("hf_file\n")
        done = self.pull("org/repo", env={"HF_HOME": str(home)})
        self.assertTrue(done["path"].startswith(str(home / "hub" / "models--org--repo")))

    def test_gated_absent_and_moved(self):
        self.serve(m=content(100))
        self.hub.on("hub/api/", 1, status=403, headers={"X-Error-Code": "GatedRepo"})
        self.assertIn(f"org/repo is gated: accept its terms at {self.hub.url}/org/repo and set HF_TOKEN",
                      self.fails("org/repo"))
        self.assertIn("org/other does not exist", self.fails("org/other"))
        self.hub.on("hub/api/", 1, status=404, headers={"X-Error-Code": "RevisionNotFound"})
        self.assertIn("has no such revision", self.fails("org/repo", "--revision", "v9"))
        self.hub.on("hub/api/models/org/old", location="/api/models/org/repo/revision/main?blobs=true")
        self.hub.on("hub/org/old/resolve", location=f"/org/repo/resolve/{COMMIT}/m.gguf")
        self.pull("org/old")

    def test_redirects_end(self):
        self.serve(m=content(100))
        self.hub.on("hub/org/repo/resolve", location="/org/repo/resolve/main/m.gguf")
        self.assertIn("more than 5 redirects", self.fails("org/repo"))
        self.assertEqual(len(self.hub.sent("hub", "/resolve/")), 6)

    def test_a_listing_that_lies(self):
        self.serve(m=content(100))
        for body in (b"<html>", b"[" * 100000, b'{"sha": "../../etc"}', b'{"sha": "%s"}' % COMMIT.encode()):
            self.hub.on("hub/api/", 1, status=200, body=body)
            self.assertIn("list of files cannot be read", self.fails("org/repo"))

    def test_no_network(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
            said = self.fails("org/repo", env={"HF_ENDPOINT": nobody})
        self.assertIn("cannot connect to 127.0.0.1:", said)
        self.assertEqual(said.count("\n"), 1)
        self.serve(m=content(100))
        path = self.pull("org/repo")["path"]
        answer = self.call("pull", "org/repo", env={"HF_ENDPOINT": nobody})
        self.assertEqual((answer.code, answer.out), (0, path + "\n"))
        self.assertIn("the copy in the cache is taken", answer.err)

    def test_offline_asks_nobody(self):
        self.serve(m=content(100))
        self.assertIn("HF_HUB_OFFLINE is set", self.fails("org/repo", code=78, env={"HF_HUB_OFFLINE": "1"}))
        self.assertEqual(self.hub.requests, [])
        self.pull("org/repo")
        self.hub.requests.clear()
        self.assertEqual(self.pull("org/repo", "--offline")["fetched_bytes"], 0)
        self.assertEqual(self.hub.requests, [])

    def test_a_token_does_not_go_in_the_clear(self):
        said = self.fails("org/repo", code=78, env={"HF_ENDPOINT": "http://192.0.2.1", "HF_TOKEN": "hf_secret"})
        self.assertIn("is not encrypted", said)
        self.assertNotIn("hf_secret", said)


class TroubleTest(pulling.PullTest):
    def test_a_busy_server_is_asked_again(self):
        data = content(2 * MIB)
        self.serve(m=data)
        self.hub.on("hub/api/", 1, status=429, headers={"Retry-After": "1"})
        self.hub.on("cdn/blobs", 2, status=503)
        start = time.monotonic()
        self.assert_whole(self.pull("org/repo")["path"], data)
        self.assertGreater(time.monotonic() - start, 0.9)

    def test_patience_ends(self):
        self.serve(m=content(100))
        self.hub.on("cdn/blobs", status=503)
        self.assertIn("answered 503 (Service Unavailable)", self.fails("org/repo", "--retries", "1"))
        self.hub.rules.clear()
        self.hub.on("cdn/blobs", status=429, headers={"Retry-After": "86400"})
        self.assertIn("it asks to come back in 86400 s", self.fails("org/repo"))
        self.assertEqual(self.finals(), [])

    def test_cut_connections_go_on_where_they_ended(self):
        data = content(6 * MIB)
        self.serve(m=data)
        self.hub.on("cdn/blobs", 1)  # the probe
        self.hub.on("cdn/blobs", 5, cut=300_000)
        self.assert_whole(self.pull("org/repo")["path"], data)
        begins = {headers["Range"].split("=")[1].split("-")[0] for _, _, _, headers in self.hub.sent("cdn", "/blobs/")}
        self.assertTrue(any(int(begin) % MIB for begin in begins), begins)

    def test_a_wrong_digest_is_kept_aside(self):
        self.serve(m=content(2 * MIB))
        self.hub.on("hub/api/", sha256="0" * 64)
        self.hub.on("hub/org/repo/resolve", linked="0" * 64)
        said = self.fails("org/repo")
        self.assertRegex(said, "m.gguf has sha256 [0-9a-f]{64}, wanted 0{64}; it is kept aside as ")
        self.assertEqual([p for p in self.finals() if "refused" not in p], [])
        self.assertEqual(len(list(self.repo.rglob("*.refused"))), 1)

    def test_a_listing_and_a_file_that_disagree(self):
        self.serve(m=content(2 * MIB))
        self.hub.on("hub/org/repo/resolve", linked="1" * 64)
        self.assertIn("has the digest", self.fails("org/repo"))
        self.assertEqual(len(self.hub.sent("cdn")), 1)  # the probe

    def test_more_than_announced_is_cut_off(self):
        self.serve(m=content(100_000))
        self.hub.on("cdn/blobs", 1)
        self.hub.on("cdn/blobs", extra=10_000_000)
        self.assertIn("the server sent more of m.gguf than it announced", self.fails("org/repo"))
        self.assertEqual(self.finals(), [])

    def test_a_server_that_drips_is_given_up(self):
        self.serve(m=content(100_000))
        self.hub.on("cdn/blobs", 1)
        self.hub.on("cdn/blobs", piece=10, stall=0.05)
        said = self.fails("org/repo", "--timeout", "1", "--retries", "0")
        self.assertIn("fewer than 1024 bytes a second", said)
        self.hub.rules.clear()
        self.hub.on("cdn/blobs", 1)
        self.hub.on("cdn/blobs", stall=3)
        self.assertIn("timeout", self.fails("org/repo", "--timeout", "1", "--retries", "0"))

    def test_expired_redirects_are_renewed(self):
        data = content(6 * MIB)
        self.serve(m=data)
        self.hub.on("cdn/blobs", 3)
        self.hub.on("cdn/blobs", 2, status=403)
        self.assert_whole(self.pull("org/repo")["path"], data)
        self.assertGreater(len(self.hub.sent("hub", "/resolve/")), 1)

    def kill_in_the_middle(self, number, *words, at=0.3):
        """A pull that ends by a signal once some bytes are there."""
        child = self.start("pull", *words)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            parts = list(self.folder.rglob("*.tenon.incomplete"))
            if parts and parts[0].stat().st_blocks and self.hub.sent("cdn"):
                break
            time.sleep(0.01)
        time.sleep(at)
        child.send_signal(number)
        out, err = child.communicate(timeout=20)
        return child.returncode, out.decode(), err.decode()

    def test_interrupted_and_killed_pulls_go_on(self):
        data = content(8 * MIB)
        self.serve(m=data)
        self.hub.on("cdn/blobs", stall=0.1, piece=1 << 17)
        code, out, err = self.kill_in_the_middle(signal.SIGINT, "org/repo")
        self.assertEqual((code, out), (1, ""), err)
        self.assertIn("interrupted; what came is kept", err)
        self.assertEqual(self.finals(), [])
        code, _, _ = self.kill_in_the_middle(signal.SIGKILL, "org/repo", at=1.3)
        self.assertEqual(code, -signal.SIGKILL)
        self.assertEqual(self.finals(), [])
        self.hub.rules.clear()
        answer = self.call("pull", "--json", "org/repo")
        self.assertRegex(answer.err, r"m.gguf: going on after \d[\d.]* [kM]B of 8.4 MB")
        done = json.loads(answer.out)
        self.assert_whole(done["path"], data)
        self.assertLess(done["fetched_bytes"], len(data) * 0.9)
        self.assertEqual(len(os.listdir(self.repo / "blobs")), 1)

    def test_bytes_that_do_not_fit_are_fetched_again(self):
        data = content(4 * MIB)
        self.serve(m=data)
        digest = hashlib.sha256(data).hexdigest()
        (self.repo / "blobs").mkdir(parents=True)
        # What an older huggingface_hub left: once a good front of the file, once rubbish.
        (self.repo / "blobs" / f"{digest}.incomplete").write_bytes(data[:2 * MIB + 5])
        self.assertEqual(self.pull("org/repo")["fetched_bytes"], 2 * MIB - 5)
        shutil.rmtree(self.repo)
        (self.repo / "blobs").mkdir(parents=True)
        (self.repo / "blobs" / f"{digest}.incomplete").write_bytes(b"x" * 100_000)
        self.assert_whole(self.pull("org/repo")["path"], data)

    def test_two_processes_fetch_once(self):
        data = content(4 * MIB)
        self.serve(m=data)
        self.hub.on("cdn/blobs", stall=0.05, piece=1 << 17)
        first = self.start("pull", "org/repo")
        end = time.monotonic() + 20
        while not list(self.folder.rglob("*.tenon.incomplete")) and time.monotonic() < end:
            time.sleep(0.01)
        second = self.call("pull", "org/repo")
        out, err = first.communicate(timeout=20)
        self.assertEqual((first.returncode, second.code), (0, 0), err.decode() + second.err)
        self.assertIn("another process is fetching m.gguf; waiting for it", second.err)
        self.assertEqual(out.decode(), second.out)
        fetched = sum(int(h["Range"].split("-")[1]) - int(h["Range"].split("=")[1].split("-")[0]) + 1
                      for _, _, _, h in self.hub.sent("cdn", "/blobs/"))
        self.assertEqual(fetched, len(data) + 1)  # and the probe

    def test_a_full_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tenon-test", str(disk)], check=False,
                          capture_output=True).returncode != 0:
            self.skipTest("a small file system cannot be mounted without root")
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=False)
        self.serve(m=content(3 * MIB))
        self.hub.plain["/plain.gguf"] = content(3 * MIB)
        env = {"XDG_CACHE_HOME": str(disk)}
        said = self.fails("org/repo", env=env)
        self.assertRegex(said, r"the disk is full: 3.1 MB are wanted and 2.\d MB are free in ")
        self.assertEqual([p for p in disk.rglob("*gguf*")] + [p for p in disk.rglob("*incomplete*")], [])
        # Where the size is not known before, the write finds out.
        self.hub.on("cdn/plain.gguf", length=False, ranges=False)
        self.assertIn("the disk is full", self.fails(f"{self.hub.cdn_url}/plain.gguf", env=env))
        self.assertEqual([p for p in disk.rglob("*gguf*") if p.is_file() and ".locks" not in p.parts], [])

    def test_a_limit_on_files(self):
        self.serve(m=content(3 * MIB))
        done = subprocess.run([str(product.BINARY), "pull", "org/repo"], cwd=self.folder, env=self.environment(),
                              capture_output=True, timeout=60, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
        self.assertEqual((done.returncode, done.stdout), (1, b""), done.stderr)
        self.assertIn(b"File too large", done.stderr)
        self.assertEqual(self.finals(), [])


if __name__ == "__main__":
    product.main()
