#!/usr/bin/python3
"""The program on a terminal, driven in tmux as a person would: a conversation, completion, the bar."""
import fcntl
import json
import os
import pty
import random
import select
import shutil
import subprocess
import termios
import time
import unittest

import gguf_edit
import product

TMUX = shutil.which("tmux")
BASH = shutil.which("bash")


class Terminal:
    """A tmux server of its own with one window of 150 x 40."""

    def __init__(self, folder, environment):
        self.socket = str(folder / "tmux")
        self.environment = environment
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "40", "-c", str(folder),
                  BASH, "--norc", "--noprofile")
        self.type("PS1='$ '")
        self.wait(lambda screen: screen.count("\n$") or screen.startswith("$ PS1") or "$ " in screen)

    def tmux(self, *words):
        done = subprocess.run([TMUX, "-S", self.socket, *words], env=self.environment, timeout=20,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"tmux {words}: {done.stderr.decode()}")
        return done.stdout.decode()

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def type(self, text, enter=True):
        self.tmux("send-keys", "-l", text)
        if enter:
            self.keys("Enter")

    def screen(self, escapes=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if escapes else []))

    def wait(self, found, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            screen = self.screen()
            if found(screen):
                return screen
            time.sleep(0.05)
        raise AssertionError("not seen in time; the screen is:\n" + self.screen())

    def stop(self):
        subprocess.run([TMUX, "-S", self.socket, "kill-server"], capture_output=True, check=False)
        time.sleep(0.3)  # what ran in it ends, and leaves the folder alone


@unittest.skipUnless(TMUX and BASH, "tmux is missing (Debian package tmux)")
class TerminalTest(product.ProductTest):
    def setUp(self):
        super().setUp()
        state = self.folder / "state"
        self.terminal = Terminal(self.folder, self.environment(
            TERM="screen-256color", LC_ALL="C.UTF-8", XDG_STATE_HOME=str(state),
            PATH=f"{product.BINARY.parent}:/usr/bin:/bin"))
        self.addCleanup(self.terminal.stop)
        self.history = state / "tenon" / "history"

    def open(self, *flags, context=400):
        self.terminal.type(" ".join([f"tenon run model.gguf -c {context} --temp 0", *flags]))
        self.terminal.wait(lambda screen: "/help lists commands" in screen and screen.rstrip().endswith(">>>"))

    def answered(self, prompts):
        """Waits until the last line is a prompt, the one of this number."""
        return self.terminal.wait(lambda s: s.rstrip().endswith("\n>>>") and s.count("\n>>>") >= prompts)

    def test_a_conversation(self):
        self.open("-n 8")
        self.terminal.type("hello")
        screen = self.answered(2)
        self.assertIn(">>> hello", screen)
        self.terminal.type("/set temprature 1")
        self.terminal.wait(lambda s: "did you mean 'temperature'?" in s)
        self.terminal.type("/set max_tokens 3")
        self.terminal.wait(lambda s: "max_tokens = 3" in s)
        self.terminal.type("/system You are brief.")
        self.terminal.wait(lambda s: "The system message is set." in s)
        self.terminal.type("/hlep")
        self.terminal.wait(lambda s: "did you mean /help?" in s)
        self.terminal.type("/save talk.json")
        self.terminal.wait(lambda s: "3 messages are in talk.json" in s)
        saved = json.loads((self.folder / "talk.json").read_text())["messages"]
        self.assertEqual([m["role"] for m in saved], ["system", "user", "assistant"])
        self.assertEqual(saved[1]["content"], "hello")
        self.terminal.type("/clear")
        self.terminal.wait(lambda s: "forgotten" in s)
        self.terminal.type("/load talk.json")
        self.terminal.wait(lambda s: "3 messages were read from talk.json" in s)
        self.terminal.type("/load absent.json")
        self.terminal.wait(lambda s: "cannot open absent.json" in s)
        self.terminal.keys("C-d")
        self.terminal.wait(lambda s: s.rstrip().endswith("$"))
        self.terminal.type("echo code=$?")
        self.terminal.wait(lambda s: "code=0" in s)
        # The history is there for the next one, for nobody else to read.
        self.assertEqual(self.history.stat().st_mode & 0o777, 0o600)
        self.assertIn("hello", self.history.read_text())
        self.terminal.type("clear")
        self.open()
        self.terminal.keys("Up")
        self.terminal.wait(lambda s: ">>> /load absent.json" in s)

    def test_editing_and_several_lines(self):
        self.open("-n 2")
        self.terminal.type("wrold", enter=False)
        self.terminal.keys("C-a")
        self.terminal.type("h\u00e9llo ", enter=False)
        self.terminal.tmux("resize-window", "-x", "90", "-y", "30")
        time.sleep(0.5)
        self.terminal.keys("C-e", "BSpace", "Enter")
        self.answered(2)
        self.terminal.type('"""first')
        self.terminal.wait(lambda s: "... " in s or s.rstrip().endswith("..."))
        self.terminal.type("second")
        self.terminal.type('third"""')
        self.answered(3)
        self.terminal.type("one\\")
        self.terminal.type("two")
        self.answered(4)
        self.terminal.type("/save talk.json")
        self.terminal.wait(lambda s: "are in talk.json" in s)
        users = [m["content"] for m in json.loads((self.folder / "talk.json").read_text())["messages"]
                 if m["role"] == "user"]
        for text in ("h\u00e9llo wrol", "first\nsecond\nthird", "one\ntwo"):
            self.assertIn(text, users)

    def test_tab(self):
        self.open()
        self.terminal.type("/se", enter=False)
        self.terminal.keys("Tab")
        self.terminal.type("max", enter=False)
        self.terminal.keys("Tab")
        self.terminal.type("3")
        self.terminal.wait(lambda s: ">>> /set max_tokens 3" in s and "max_tokens = 3" in s)
        self.terminal.type("/s", enter=False)
        self.terminal.keys("Tab")
        self.terminal.wait(lambda s: "save  set  system" in s and s.rstrip().endswith(">>> /s"))
        self.terminal.type("av", enter=False)
        self.terminal.keys("Tab")
        self.terminal.type("talk.json")
        self.terminal.wait(lambda s: "messages are in talk.json" in s)
        self.terminal.type("/load ta", enter=False)
        self.terminal.keys("Tab")
        self.terminal.wait(lambda s: s.rstrip().endswith(">>> /load talk.json"))
        self.terminal.keys("Enter")
        self.terminal.wait(lambda s: "were read from talk.json" in s)

    def test_interrupts(self):
        model = gguf_edit.Gguf((self.folder / "model.gguf").read_bytes())
        model.pairs["llama.context_length"] = (gguf_edit.U32, 1 << 20)
        model.write(self.folder / "model.gguf")
        self.open(context=100000)
        self.terminal.type("go on for ever")
        self.terminal.wait(lambda s: len(s) > 300)
        self.terminal.keys("C-c")
        self.terminal.wait(lambda s: "(stopped)" in s)
        self.terminal.type("half a li", enter=False)
        self.terminal.keys("C-c")
        self.terminal.wait(lambda s: "Ctrl+C once more" in s)
        self.terminal.type("/help")
        self.terminal.wait(lambda s: "stops an answer" in s)
        self.terminal.keys("C-c")
        self.terminal.wait(lambda s: s.count("Ctrl+C once more") == 2)
        self.terminal.keys("C-c")
        self.terminal.wait(lambda s: s.rstrip().endswith("$"))
        self.terminal.type("echo code=$?; stty -a | grep -o ' icanon'")
        self.terminal.wait(lambda s: "code=0\n icanon" in s)

    def test_colours(self):
        self.open()
        self.assertIn("\x1b[1m", self.terminal.screen(escapes=True))
        self.terminal.keys("C-d")
        self.terminal.wait(lambda s: s.rstrip().endswith("$"))
        self.terminal.type("export NO_COLOR=1; clear")
        self.terminal.wait(lambda s: s.strip() == "$")
        self.open()
        self.assertNotIn("\x1b[", self.terminal.screen(escapes=True))

    def test_completion(self):
        self.terminal.type("source <(tenon completion bash); clear")
        self.terminal.wait(lambda s: s.strip() == "$")

        def completes(typed, wanted):
            self.terminal.type(typed, enter=False)
            self.terminal.keys("Tab")
            self.terminal.wait(lambda s: s.rstrip() == f"$ {wanted}".rstrip())
            self.terminal.keys("C-u")
            self.terminal.keys("C-l")
            self.terminal.wait(lambda s: s.strip() == "$")

        completes("tenon tok", "tenon tokenize ")
        completes("tenon run mod", "tenon run model.gguf")
        completes("tenon run model.gguf --comp", "tenon run model.gguf --compute ")
        completes("tenon run model.gguf --compute prec", "tenon run model.gguf --compute precise ")
        completes("tenon run model.gguf --compute=prec", "tenon run model.gguf --compute=precise ")
        completes("tenon config sch", "tenon config schema ")
        completes("tenon config check --f", "tenon config check --for ")
        completes("tenon config explain limits.body_by", "tenon config explain limits.body_bytes ")
        completes("tenon completion z", "tenon completion zsh ")
        completes("tenon bench ser", "tenon bench serve ")

    def test_a_bar_shows_and_goes(self):
        (self.folder / "text").write_text("many words to score, again and again. " * 20000)
        self.terminal.type("tenon perplexity model.gguf --file text -c 512 -t 1")
        self.terminal.wait(lambda s: "scoring" in s and "%" in s)
        self.terminal.keys("C-c")
        screen = self.terminal.wait(lambda s: "interrupted" in s)
        self.assertNotIn("%", screen)

    def test_a_model_without_a_template(self):
        bare = gguf_edit.Gguf((product.TINY / self.model).read_bytes())
        bare.pairs.pop("tokenizer.chat_template", None)
        bare.write(self.folder / "bare.gguf")
        self.terminal.type("tenon run bare.gguf")
        self.terminal.wait(lambda s: "has no chat template" in s)


class InterruptTest(product.ProductTest):
    def test_none_is_missed(self):
        """Ctrl+C at any moment between two keys, where a wait for the next one has not begun yet."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        program = self.start("run", "model.gguf", stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                             env=self.environment(TERM="xterm", LC_ALL="C.UTF-8", NO_COLOR="1"))
        os.close(slave)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        seen = ""

        def wait(text):
            nonlocal seen
            end = time.monotonic() + 30
            while text not in seen:
                ready, _, _ = select.select([master], [], [], max(0, end - time.monotonic()))
                self.assertTrue(ready, f"{text!r} was not seen in 30 s after {seen!r}")
                seen += os.read(master, 4096).decode(errors="replace")
            seen = seen.split(text, 1)[1]

        wait(">>> ")
        delays = random.Random(1)
        for number in range(1, 201):
            os.write(master, b"half a line")
            time.sleep(delays.uniform(0, 0.001))
            os.write(master, b"\x03")
            wait("Ctrl+C once more")
            wait(">>> ")
            os.write(master, b"/set max_tokens %d\r" % number)
            wait(f"max_tokens = {number}\r\n")


if __name__ == "__main__":
    product.main()
