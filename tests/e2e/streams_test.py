#!/usr/bin/python3
"""Ctrl+C, terminals, pipes that close, disks that are full, streams that were closed before the start."""
import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time

import product

ENDLESS = ("run", "model.gguf", "a", "--raw", "--temp", "0", "-c", "100000")
ATTEMPTS = 5  # the best of them counts: a busy machine is no fault of the program
LIMIT_S = 0.2


class StreamsTest(product.ProductTest):
    def best(self, attempt):
        times = []
        for _ in range(ATTEMPTS):
            times.append(attempt())
            if times[-1] < LIMIT_S:
                return
        self.fail(f"seconds from the signal to the exit: {times}, wanted less than {LIMIT_S}")

    def test_interrupted_answers_end_soon_with_what_they_have(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            def attempt():
                process = self.start(*ENDLESS)
                begun = process.stdout.read(50)
                self.assertIsNone(process.poll())
                start = time.monotonic()
                process.send_signal(number)
                rest, err = process.communicate(timeout=30)
                took = time.monotonic() - start
                self.assertEqual(process.returncode, 1, err)
                self.assertTrue(begun and rest.endswith(b"\n"))
                self.assertEqual(err, b"")
                return took

            self.best(attempt)

    def test_other_verbs_end_soon_too(self):
        (self.folder / "text").write_text("many words to score, again and again. " * 40000)
        (self.folder / "ids.json").write_text('{"ids": [' + "5," * 60000 + "5]}")
        for words in (["bench", "model.gguf", "-p", "0", "-n", "100000", "-r", "1000"],
                      ["perplexity", "model.gguf", "--file", "text", "-c", "4096"],
                      ["logits", "model.gguf", "--ids", "ids.json"]):
            def attempt():
                process = self.start(*words)
                time.sleep(0.7)
                self.assertIsNone(process.poll(), words)
                start = time.monotonic()
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
                took = time.monotonic() - start
                self.assertEqual((process.returncode, out), (1, b""), (words, err))
                self.assertRegex(err.decode(), r"^tenon \w+: interrupted\n$")
                return took

            self.best(attempt)

    def test_a_terminal_is_left_as_it_was(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        before = termios.tcgetattr(slave)

        def attempt():
            process = self.start(
                *ENDLESS, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
            shown = os.read(master, 4096)
            self.assertTrue(shown)
            start = time.monotonic()
            os.write(master, b"\x03")  # Ctrl+C
            while process.poll() is None:
                if select.select([master], [], [], 0.005)[0]:
                    shown += os.read(master, 65536)
                self.assertLess(time.monotonic() - start, 30)
            took = time.monotonic() - start
            while select.select([master], [], [], 0.05)[0]:
                shown += os.read(master, 65536)
            self.assertEqual(process.returncode, 1)
            self.assertEqual(termios.tcgetattr(slave), before)
            self.assertNotIn(b"\x1b[?", shown)  # no mode of the terminal was switched
            return took

        self.best(attempt)
        os.close(slave)

    def test_a_prompt_is_wanted_on_a_terminal(self):
        master, slave = pty.openpty()
        process = self.start("run", "model.gguf", stdin=slave)
        out, err = process.communicate(timeout=30)
        os.close(master)
        os.close(slave)
        self.assertEqual((process.returncode, out), (2, b""))
        self.assertIn(b"a prompt is missing", err)

    def each_verb(self):
        (self.folder / "text").write_text("some words to score. " * 40)
        (self.folder / "ids.json").write_text('{"ids": [5, 6, 7]}')
        return (["--help"], ["--version"], ["run", "--help"], ["run", "model.gguf", "a", "-n", "5"],
                ["run", "model.gguf", "a", "-n", "5", "--json"], ["tokenize", "model.gguf", "hello"],
                ["program", "model.gguf"], ["program", "model.gguf", "--dot"], ["doctor"],
                ["plugins", "list"], ["plugins", "list", "--json"],
                ["perplexity", "model.gguf", "--file", "text", "-c", "32"],
                ["bench", "model.gguf", "-p", "8", "-n", "2", "-r", "1"],
                ["logits", "model.gguf", "--ids", "ids.json"])

    def unwritten(self, words, process):
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, (words, err))
        self.assertRegex(err.decode(), r"^tenon[ a-z]*: standard output cannot be written\n$")

    def test_a_pipe_whose_reader_left(self):
        for words in self.each_verb():
            end, begin = os.pipe()
            os.close(end)
            process = self.start(*words, stdout=begin)
            os.close(begin)
            self.unwritten(words, process)

    def test_a_reader_that_leaves_in_the_middle(self):
        process = self.start(*ENDLESS)
        self.assertEqual(len(os.read(process.stdout.fileno(), 1)), 1)
        process.stdout.close()
        process.stdout = None
        self.unwritten(ENDLESS, process)

    def test_a_full_disk(self):
        for words in self.each_verb():
            with open("/dev/full", "wb") as full:
                self.unwritten(words, self.start(*words, stdout=full))
        (self.folder / "ids.json").write_text('{"ids": [5]}')
        self.assertEqual(self.refused("logits", "model.gguf", "--ids", "ids.json", "--full",
                                      "/dev/full"), "/dev/full: cannot be written\n")

    def test_streams_that_are_closed(self):
        def started(redirection, *words):
            line = f'exec "$0" "$@" {redirection}'
            return subprocess.run(["/bin/sh", "-c", line, str(product.BINARY), *words],
                                  cwd=self.folder, env=self.environment(), capture_output=True,
                                  timeout=60)

        words = ("run", "model.gguf", "a", "-n", "5", "--temp", "0")
        expected = self.good(*words).encode()
        self.assertEqual(started("<&-", *words).stdout, expected)
        self.assertEqual(started("2>&-", *words).stdout, expected)
        closed = started(">&-", *words)
        self.assertEqual((closed.returncode, closed.stdout), (1, b""))
        self.assertIn(b"standard output cannot be written", closed.stderr)
        unread = started("<&-", "run", "model.gguf")
        self.assertEqual(unread.returncode, 1)
        self.assertIn(b"cannot read standard input", unread.stderr)
        self.assertEqual((self.folder / "model.gguf").read_bytes(),
                         (product.TINY / self.model).read_bytes())


if __name__ == "__main__":
    product.main()
