#!/usr/bin/python3
"""`tenon pull` of URLs and names of the catalog, `tenon models`, `tenon rm`, and models run by their names."""
import json
import os
import signal
import subprocess
import time

import product
import pulling
from pulling import MIB
from scripted_hub import COMMIT, content


class UrlTest(pulling.PullTest):
    def test_a_url_is_kept_and_found(self):
        data = content(5 * MIB)
        self.hub.plain["/files/m-Q4_0.gguf"] = data
        url = f"{self.hub.cdn_url}/files/m-Q4_0.gguf"
        done = self.pull(url + "?X-Signature=abc")
        self.assert_whole(done["path"], data)
        self.assertTrue(done["path"].startswith(str(self.models / "urls")))
        self.assertEqual(self.pull(url)["fetched_bytes"], 0)
        self.assertIn("404 (Not Found)", self.fails(f"{self.hub.cdn_url}/absent.gguf"))
        self.fails(self.hub.cdn_url)
        self.fails("ftp://127.0.0.1/m.gguf")

    def test_a_server_without_ranges(self):
        data = content(3 * MIB)
        self.hub.plain["/m.gguf"] = data
        self.hub.on("cdn/m.gguf", 1, ranges=False)
        self.hub.on("cdn/m.gguf", 1, ranges=False, cut=MIB)
        self.hub.on("cdn/m.gguf", ranges=False)
        self.assert_whole(self.pull(f"{self.hub.cdn_url}/m.gguf")["path"], data)
        self.assertEqual(len(self.hub.sent("cdn")), 3)

    def test_without_a_length_the_end_is_the_end(self):
        data = content(MIB)
        self.hub.plain["/m.gguf"] = data
        self.hub.on("cdn/m.gguf", ranges=False, length=False)
        self.assert_whole(self.pull(f"{self.hub.cdn_url}/m.gguf")["path"], data)

    def test_a_file_that_changes_meanwhile(self):
        old, new = content(8 * MIB, 1), content(8 * MIB + 7, 2)
        self.hub.plain["/m.gguf"] = old
        self.hub.on("cdn/m.gguf", 3, stall=0.05, piece=1 << 17)
        # Eight pieces, two at a time: when the first two are under way, six are not asked for yet.
        child = self.start("pull", f"{self.hub.cdn_url}/m.gguf", "--connections", "2")
        end = time.monotonic() + 20
        while len(self.hub.sent("cdn")) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        self.hub.plain["/m.gguf"] = new
        out, err = child.communicate(timeout=30)
        self.assertEqual(child.returncode, 0, err.decode())
        self.assertIn(b"changed on the server meanwhile; starting again", err)
        self.assert_whole(out.decode().strip(), new)

    def test_what_was_kept_of_an_older_file_is_dropped(self):
        old, new = content(4 * MIB, 1), content(4 * MIB, 2)
        self.hub.plain["/m.gguf"] = old
        self.hub.on("cdn/m.gguf", stall=0.1, piece=1 << 16)
        child = self.start("pull", f"{self.hub.cdn_url}/m.gguf")
        end = time.monotonic() + 20
        while len(self.hub.sent("cdn")) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
        self.assertEqual(len(list(self.models.rglob("*.parts"))), 1)
        self.hub.rules.clear()
        self.hub.plain["/m.gguf"] = new
        answer = self.call("pull", f"{self.hub.cdn_url}/m.gguf")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertIn("starting again", answer.err)
        self.assert_whole(answer.out.strip(), new)

    def test_s3(self):
        data = content(2 * MIB)
        self.hub.plain["/bucket/dir/m.gguf"] = data
        env = {"AWS_ENDPOINT_URL": self.hub.cdn_url}
        self.assert_whole(self.pull("s3://bucket/dir/m.gguf", env=env)["path"], data)
        self.assertTrue(all("Authorization" not in r[3] for r in self.hub.sent("cdn")))
        keys = {**env, "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}
        self.hub.plain["/bucket/n.gguf"] = data
        self.pull("s3://bucket/n.gguf", env=keys)
        signature = self.hub.sent("cdn", "/bucket/n.gguf")[0][3]["Authorization"]
        self.assertRegex(signature, r"^AWS4-HMAC-SHA256 Credential=AKIA/\d{8}/eu-west-1/s3/aws4_request,SignedHeaders="
                                    r"host;x-amz-content-sha256;x-amz-date,Signature=[0-9a-f]{64}$")
        self.hub.on("cdn/bucket/p.gguf", status=403)
        self.assertIn("set AWS_ACCESS_KEY_ID", self.fails("s3://bucket/p.gguf", env=env))


class CatalogTest(pulling.PullTest):
    def test_the_first_source_that_answers_wins(self):
        data = content(MIB)
        self.hub.plain["/right.gguf"] = data
        self.hub.plain["/wrong.gguf"] = content(MIB, 9)
        self.entry("m", data, {"path": "/absent/m.gguf"}, {"hub": "org/absent"},
                   {"url": f"{self.hub.cdn_url}/absent.gguf"}, {"url": f"{self.hub.cdn_url}/wrong.gguf"},
                   {"url": f"{self.hub.cdn_url}/right.gguf"}, {"url": f"{self.hub.cdn_url}/never.gguf"})
        answer = self.call("pull", "m")
        self.assertEqual(answer.code, 0, answer.err)
        for line in ("/absent/m.gguf: no file of 1048576 bytes is there", "hub org/absent: org/absent does not exist",
                     "absent.gguf: 127.0.0.1", "wrong.gguf: m.gguf has sha256"):
            self.assertIn(line, answer.err)
        self.assertNotIn("never", answer.err)
        self.assert_whole(answer.out.strip(), data)
        self.assertEqual(answer.out, f"{self.models}/m.gguf\n")

    def test_a_local_file_is_used_where_it_is(self):
        data = content(1000)
        (self.folder / "mine.gguf").write_bytes(data)
        self.entry("m", data, {"path": "~/mine.gguf"}, aliases="[mm]")
        self.assertEqual(self.pull("mm")["path"], f"{self.folder}/mine.gguf")
        answer = self.call("rm", "m", "--yes")
        self.assertEqual(answer.code, 1)
        self.assertIn("was not fetched by tenon", answer.err)

    def test_a_hub_source_must_be_the_same_file(self):
        data = content(1000)
        self.hub.files["org/repo"] = {"sub/x.gguf": data}
        self.entry("m", data, {"hub": "org/repo", "file": "sub/x.gguf"})
        done = self.pull("m")
        self.assertEqual(done["name"], "m")
        self.assertEqual(done["path"], str(self.repo / "snapshots" / COMMIT / "sub" / "x.gguf"))
        self.assertEqual(self.good("rm", "m", "--yes").split()[0], "org/repo:sub/x")
        self.assertFalse(self.repo.exists())
        self.entry("n", content(1000, 7), {"hub": "org/repo", "file": "sub/x.gguf"})
        self.assertIn("the catalog wants 1000 and", self.fails("n"))

    def test_all_sources_fail(self):
        self.entry("m", b"GGUF", {"url": f"{self.hub.cdn_url}/a.gguf"}, {"url": f"{self.hub.cdn_url}/b.gguf"})
        said = self.fails("m").splitlines()
        self.assertEqual(len([line for line in said if "404 (Not Found)" in line]), 2)
        self.assertEqual(said[-1], "tenon pull: none of the 2 sources of m could be used")

    def test_a_catalog_with_mistakes(self):
        (self.folder / "catalog" / "bad.yaml").write_text("file: ../x.gguf\nsizes: 3\n")
        for verb in (["pull", "bad"], ["models"], ["run", "bad", "hi"], ["rm", "bad", "--yes"]):
            answer = self.call(*verb)
            self.assertEqual((answer.code, answer.out), (78, ""), answer.err)
            self.assertIn("bad.yaml:2:1: 'sizes' is not known here; did you mean 'size'?", answer.err)
            self.assertIn("bad.yaml:1:7: file: expected a file name", answer.err)

    def test_names_that_are_nearly_right(self):
        self.entry("smollm2", b"GGUF", {"url": "https://x.example/m.gguf"})
        self.assertIn("did you mean 'smollm2'?", self.fails("smolm2", code=78))
        for verb in ("run", "tokenize", "bench", "program"):
            answer = self.call(verb, "smollm2", *(["hi"] if verb in ("run", "tokenize") else []))
            self.assertEqual(answer.code, 78, answer.err)
            self.assertIn("run: tenon pull smollm2", answer.err)


class ShelfTest(pulling.PullTest):
    def test_what_is_there(self):
        data = content(2 * MIB)
        self.serve(**{"m-Q4_0": data, "m-Q8_0": content(MIB, 3)})
        self.hub.plain["/u-F16.gguf"] = content(5000)
        self.entry("wanted", b"GGUF", {"url": "https://x.example/m.gguf"})
        self.pull("org/repo:Q4_0")
        self.pull("org/repo:Q8_0")
        self.pull(f"{self.hub.cdn_url}/u-F16.gguf")
        listed = json.loads(self.good("models", "--json"))
        self.assertEqual(set(listed), {"models_folder", "cache", "models"})
        by_name = {model["name"]: model for model in listed["models"]}
        self.assertEqual(set(by_name), {"org/repo:Q4_0", "org/repo:Q8_0", "u-F16.gguf", "wanted"})
        self.assertEqual(by_name["org/repo:Q4_0"]["bytes"], len(data))
        self.assertEqual(by_name["u-F16.gguf"]["quant"], "F16")
        self.assertEqual((by_name["wanted"]["state"], by_name["wanted"]["files"]), ("absent", []))
        self.assertLess(abs(by_name["org/repo:Q4_0"]["last_used"] - time.time()), 100)
        text = self.good("models")
        self.assertIn("not fetched: tenon pull wanted", text)
        self.assertIn(str(self.repo / "snapshots" / COMMIT / "m-Q8_0.gguf"), text)

    def test_removal(self):
        self.serve(**{"m-Q4_0": content(2 * MIB), "m-Q8_0": content(MIB, 3)})
        self.pull("org/repo:Q4_0")
        self.pull("org/repo:Q8_0")
        self.assertEqual(self.call("rm", "org/repo:Q4_0").code, 2)
        answer = self.call("rm", "org/repo:Q5_0", "--yes")
        self.assertEqual(answer.code, 1)
        self.assertIn("nothing called 'org/repo:Q5_0' was fetched", answer.err)
        self.assertEqual(self.good("rm", "org/repo:q4_0", "--yes"), "org/repo:Q4_0 removed, 2.1 MB freed\n")
        self.assertEqual(len(os.listdir(self.repo / "blobs")), 1)
        done = json.loads(self.good("rm", "org/repo", "--yes", "--json"))
        self.assertEqual(done["removed"], ["org/repo:Q8_0"])
        self.assertGreaterEqual(done["freed_bytes"], MIB)
        self.assertFalse(self.repo.exists())

    def test_what_is_in_use_stays(self):
        self.serve(m=content(2 * MIB))
        path = self.pull("org/repo")["path"]
        with open(path, "rb") as file:
            user = subprocess.Popen(["sleep", "60"], stdin=file)
        answer = self.call("rm", "org/repo", "--yes")
        user.kill()
        user.wait()
        self.assertEqual(answer.code, 1)
        self.assertIn(f"is in use by process {user.pid}", answer.err)
        self.assertTrue(os.path.exists(path))
        self.good("rm", "org/repo", "--yes")

    def test_a_download_that_was_begun(self):
        self.serve(m=content(4 * MIB))
        self.hub.on("cdn/blobs", stall=0.2, piece=1 << 16)
        child = self.start("pull", "org/repo")
        end = time.monotonic() + 20
        while len(self.hub.sent("cdn")) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.4)
        busy = self.call("rm", "org/repo", "--yes")
        self.assertEqual(busy.code, 1)
        self.assertIn("is being fetched by another process", busy.err)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
        self.assertIn("(unfinished)", self.good("models"))
        self.assertIn("org/repo (unfinished) removed", self.good("rm", "org/repo", "--yes"))
        self.assertFalse(self.repo.exists())


class RunTest(pulling.PullTest):
    needs_backend = "cpu"

    def test_what_was_pulled_runs_by_its_name(self):
        data = (self.folder / "model.gguf").read_bytes()
        self.serve(**{"tiny-F32": data})
        answer = self.call("run", "org/repo", "hi", "-n", "2", "--temp", "0")
        self.assertEqual(answer.code, 78)
        self.assertIn("run: tenon pull org/repo", answer.err)
        self.pull("org/repo")
        by_path = self.good("run", "model.gguf", "hi", "-n", "4", "--temp", "0")
        self.assertEqual(self.good("run", "org/repo:F32", "hi", "-n", "4", "--temp", "0"), by_path)
        self.entry("tiny", data, {"path": str(self.folder / "model.gguf")})
        self.assertEqual(self.good("run", "tiny", "hi", "-n", "4", "--temp", "0"), by_path)

    def test_a_terminal_fetches_what_is_missing(self):
        data = (self.folder / "model.gguf").read_bytes()
        self.serve(**{"tiny-F32": data})
        words = ("run", "org/repo", "hi", "-n", "2", "--temp", "0")
        code, shown = self.on_terminal(*words, env={"HF_HUB_OFFLINE": "1"})
        self.assertEqual(code, 78, shown)
        self.assertEqual(self.hub.requests, [])
        code, shown = self.on_terminal(*words)
        self.assertEqual(code, 0, shown)
        self.assertIn("tenon run: fetching org/repo:F32", shown)
        self.assertIn("run: tenon pull org/repo", self.call("serve", "org/repo:Q4_0").err)


class TerminalTest(pulling.PullTest):
    def test_a_bar_with_rate_and_time_left(self):
        self.serve(**{"m-Q4_0": content(4 * MIB)})
        self.hub.on("cdn/blobs", stall=0.08, piece=1 << 17)
        code, shown = self.on_terminal("pull", "org/repo")
        self.assertEqual(code, 0, shown)
        self.assertRegex(shown, r"\r\x1b\[Korg/repo:Q4_0  +\d+ % \[#+ +\] \d\.\d/4\.2 MB  \d+(\.\d)? [kM]B/s  0:0\d left")
        self.assertRegex(shown, r"\x1b\[Ktenon pull: org/repo:Q4_0 fetched, 4\.2 MB in \d\.\d s, checked\r\n/")

    def test_removal_asks(self):
        self.serve(**{"m-Q4_0": content(5000)})
        path = self.pull("org/repo")["path"]
        code, shown = self.on_terminal("rm", "org/repo", typed="n\n")
        self.assertEqual(code, 1)
        self.assertIn("Remove org/repo:Q4_0, 5.0 kB? [y/N] ", shown)
        self.assertIn("nothing was removed", shown)
        self.assertTrue(os.path.exists(path))
        code, shown = self.on_terminal("rm", "org/repo", typed="y\n")
        self.assertEqual(code, 0, shown)
        self.assertFalse(os.path.exists(path))


class TlsTest(pulling.PullTest):
    def test_the_server_must_prove_who_it_is(self):
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.hub.use_tls(certificate, key)
        data = content(2 * MIB)
        self.serve(m=data)
        said = self.fails("org/repo", env={"HF_ENDPOINT": self.hub.url})
        self.assertIn("is refused: self-signed certificate", said)
        self.assertEqual(self.hub.requests, [])
        trusted = {"HF_ENDPOINT": self.hub.url, "SSL_CERT_FILE": str(certificate)}
        self.assert_whole(self.pull("org/repo", env={**trusted, "HF_TOKEN": "hf_x"})["path"], data)
        self.hub.files["org/repo"] = {"n.gguf": data + b"n"}
        self.hub.on("hub/org/repo/resolve", location="http://127.0.0.1:1/m.gguf")
        self.assertIn("redirects from https to http", self.fails("org/repo", env=trusted))


if __name__ == "__main__":
    product.main()
