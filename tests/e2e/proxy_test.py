#!/usr/bin/python3
"""`tenon pull` through a proxy that the environment names."""
import subprocess

import product
import pulling
import scripted_proxy
from scripted_hub import content

SECRET = "pa%3Ass%20word"  # "pa:ss word"


class ProxyTest(pulling.PullTest):
    def proxy(self, **does):
        made = scripted_proxy.Proxy(**does)
        self.addCleanup(made.close)
        return made

    def test_plain_requests_are_sent_on(self):
        data = content(100_000)
        self.serve(m=data)
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            proxy = self.proxy()
            self.assert_whole(self.pull("org/repo", env={variable: f"http://{proxy.address}/"})["path"], data)
            self.assertTrue(any(target.startswith(self.hub.url + "/") for target in proxy.asked("GET")), variable)
            self.assertTrue(all(target.startswith("http://127.0.0.1:") for target in proxy.asked("GET")))
            self.assertEqual(proxy.asked("CONNECT"), [])
            self.call("rm", "--yes", "org/repo")

    def test_the_lower_case_name_goes_first_and_https_has_its_own(self):
        self.serve(m=content(1000))
        proxy = self.proxy()
        self.pull("org/repo", env={"http_proxy": proxy.address, "HTTP_PROXY": "http://127.0.0.1:1"})
        self.assertTrue(proxy.requests)
        self.hub.files["org/repo"] = {"n.gguf": content(1001)}
        self.pull("org/repo", env={"HTTPS_PROXY": "http://127.0.0.1:1"})

    def test_no_proxy(self):
        self.serve(m=content(1000))
        proxy = self.proxy()
        for variable, value in (("no_proxy", "127.0.0.1"), ("NO_PROXY", "example.com, 127.0.0.0/8"), ("no_proxy", "*")):
            self.pull("org/repo", env={"http_proxy": proxy.address, variable: value})
            self.assertEqual(proxy.requests, [])
            self.call("rm", "--yes", "org/repo")

    def test_encrypted_requests_go_through_a_tunnel_and_the_login_to_the_proxy_alone(self):
        key, certificate = self.folder / "key.pem", self.folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.hub.use_tls(certificate, key)
        data = content(3 << 20)
        self.serve(m=data)
        proxy = self.proxy(login="me:pa:ss word")
        env = {"HF_ENDPOINT": self.hub.url, "SSL_CERT_FILE": str(certificate),
               "HTTPS_PROXY": f"http://me:{SECRET}@{proxy.address}"}
        self.assert_whole(self.pull("org/repo", env=env)["path"], data)
        self.assertEqual(set(proxy.asked("CONNECT")), {self.hub.url[8:], self.hub.cdn_url[8:]})
        self.assertEqual(proxy.asked("GET"), [])
        for _, _, _, headers in self.hub.requests:
            self.assertNotIn("Proxy-Authorization", headers)
        # The tunnel ends at the server: one that nobody vouches for is refused as ever.
        self.hub.files["org/repo"] = {"n.gguf": data + b"n"}
        del env["SSL_CERT_FILE"]
        self.assertIn("is refused: self-signed certificate", self.fails("org/repo", env=env))

    def test_a_login_that_is_wanted_or_wrong(self):
        self.serve(m=content(1000))
        proxy = self.proxy(login="me:right")
        for scheme, endpoint in (("http_proxy", self.hub.url), ("https_proxy", "https://127.0.0.1:1")):
            env = {"HF_ENDPOINT": endpoint, scheme: proxy.address}
            said = self.fails("org/repo", env=env)
            self.assertEqual(said, f"tenon pull: the proxy {proxy.address} wants a user and a password (407); "
                                   f"{scheme} takes them as http://USER:PASSWORD@{proxy.address}\n")
            said = self.fails("org/repo", env={**env, scheme: f"http://me:{SECRET}@{proxy.address}"})
            self.assertEqual(said, f"tenon pull: the proxy {proxy.address} refuses the user and password in "
                                   f"{scheme} (407)\n")
        proxy.scheme = "NTLM"
        self.assertIn("of another kind than Basic", self.fails("org/repo", env=env))

    def test_a_proxy_that_refuses_or_is_not_there(self):
        self.serve(m=content(1000))
        encrypted = {"HF_ENDPOINT": "https://127.0.0.1:1"}
        proxy = self.proxy(refuse="403 Forbidden")
        self.assertIn(f"the proxy {proxy.address} answered 403 (Forbidden) when asked for a connection to 127.0.0.1:1",
                      self.fails("org/repo", env={**encrypted, "https_proxy": proxy.address}))
        proxy = self.proxy(refuse="200 OK\r\nnonsense")
        self.assertIn(f"the proxy {proxy.address} answered no HTTP",
                      self.fails("org/repo", "--retries", "0", env={**encrypted, "https_proxy": proxy.address}))
        proxy.close()
        said = self.fails("org/repo", "--retries", "0", env={"http_proxy": f"me:{SECRET}@127.0.0.1:1"})
        self.assertIn("cannot connect to the proxy 127.0.0.1:1 of http_proxy: Connection refused", said)

    def test_bytes_before_tls_are_nobodys(self):
        proxy = self.proxy(early=b"HTTP/1.1 200 OK\r\n\r\n")
        env = {"HF_ENDPOINT": self.hub.url.replace("http:", "https:"), "https_proxy": proxy.address}
        self.assertIn("bytes before TLS began", self.fails("org/repo", "--retries", "0", env=env))

    def test_what_is_no_proxy_is_refused_without_its_secret(self):
        self.serve(m=content(1000))
        for value, word in (("socks5://me:sEcReT@h:1", "a SOCKS proxy"), ("https://me:sEcReT@h", "https itself"),
                            ("ftp://me:sEcReT@h", "another scheme"), ("http://me:sEcReT@h:port", "no host"),
                            ("http://me:sEcReT/x@h:1", "no host"), ("http://me:sEcReT%0d@h:1", "cannot be sent"),
                            ("me:sEcReT@", "no host")):
            said = self.fails("org/repo", code=78, env={"HTTPS_PROXY": value})
            self.assertIn(word, said)
            self.assertTrue(said.startswith("tenon pull: HTTPS_PROXY: expected http://[USER:PASSWORD@]HOST[:PORT], "),
                            said)
            self.assertNotIn("sEcReT", said)


if __name__ == "__main__":
    product.main()
