#!/usr/bin/python3
"""The rules of the house that a program can hold: tidy.py [--root DIR] [--build DIR].

Prints one line per finding, "path:line: rule: sentence"; warnings do not fail. Exit code 1 when a
rule is broken. Exemptions with their reasons are in exemptions.txt beside this file. --build names
a build folder, whose objects are then searched for weak symbols shared by two instruction sets.
"""
import argparse
import fnmatch
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

FOLDERS = ("core", "plugins", "backends", "kernels", "shaders", "router", "configs", "tests",
           "benchmarks")
CODE = {".h", ".c", ".cpp", ".cc", ".hpp", ".cu", ".cuh", ".glsl"}
SIZED = CODE | {".py", ".sh", ".cmake"}
# Written by a generator, whose own size counts instead.
GENERATED = ("core/abi/include/tenon/abi.h",)
LINES_WARN, LINES_FAIL, README_LINES, CMAKE_LINES = 500, 800, 60, 150

# Who may include whom. A room is the longest prefix listed here; everyone may include itself and
# core/abi/include. Any file of tests and benchmarks may include anything.
CORE_ROOMS = {
    "core/base": (),
    "core/abi": (),
    "core/tensor": ("core/base",),
    "core/tokenizer": ("core/base",),
    "core/formats": ("core/base", "core/tensor", "core/tokenizer"),
    "core/quantize": ("core/base", "core/tensor", "core/formats"),
    "core/chat_template": ("core/base",),
    "core/grammar": ("core/base",),
    "core/ops": ("core/base", "core/tensor"),
    "core/model": ("core/base", "core/tensor", "core/formats", "core/ops"),
    "core/kv": ("core/base",),
    "core/sampling": ("core/base",),
    "core/config": ("core/base",),
    "core/host": ("core/base", "core/tensor", "core/ops", "core/config"),
    "core/sched": ("core/base", "core/kv", "core/config", "core/host"),
    "core/engine": ("core/base", "core/tensor", "core/formats", "core/tokenizer",
                    "core/chat_template", "core/grammar", "core/ops", "core/model", "core/kv",
                    "core/sampling", "core/config", "core/host", "core/sched"),
    "core/net": ("core/base", "core/config"),
    "core/hub": ("core/base", "core/config", "core/net"),
    "core/server": ("core",),
    "core/cli": ("core",),
}
ARROWS = {
    **CORE_ROOMS,
    "plugins/sdk": (),
    "plugins/check": ("plugins/sdk", "core/base", "core/tensor", "core/ops", "core/host"),
    "plugins": ("plugins/sdk",),
    "backends/common": ("plugins/sdk",),
    "backends": ("plugins/sdk", "backends/common", "kernels", "shaders"),
    "kernels": (),
    "shaders": (),
    "router": ("core",),
}
EVERYONE = "core/abi/include/"
INCLUDE_FOLDERS = (EVERYONE, "plugins/sdk/include/", "kernels/include/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
SHARED_FOLDERS = ("backends/common", "tests/backends/common")
BANNED_STEM = re.compile(r"(^|_)(utils?|helpers?|common|misc)$")
NOTE_TO_SELF = re.compile(r"\b(" + "TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
MACHINE_PATH = re.compile(r"(/wo" + r"rk/|\.\./sha" + r"red|(?<!\w)/ho" + r"me/[a-z]|(?<!\w)/ro" + r"ot/|\.py" + r"env)")
NOT_MEMBER = r"(?<![\w.>:])(?:std::|::)?"
STOPS = re.compile(NOT_MEMBER + r"(abort|exit|_exit|_Exit|quick_exit|terminate)\s*\(")
PRINTS = re.compile(NOT_MEMBER + r"(printf|fprintf|vprintf|puts|fputs|putchar|perror)\s*\(|\bstd::(cout|cerr|clog)\b"
                    r"|\bfmt::print\s*\(")
READS_ENV = re.compile(r"\b(secure_)?getenv\s*\(|\benviron\b")
LOADS = re.compile(r"\bdlm?open\s*\(")
ASSERTS = re.compile(r"\bassert\s*\(")
# Rooms that take bytes from outside: an assert there is a crash that somebody else can cause.
INPUT_ROOMS = ("core/formats/", "core/tokenizer/", "core/chat_template/", "core/host/", "core/config/",
               "core/cli/", "core/model/", "core/grammar/", "core/net/", "core/hub/", "core/server/")
SPEAKS = ("core/cli/", "core/server/", "plugins/check/", "tests/", "benchmarks/", "configs/")
MIRRORED = ("core/", "plugins/", "backends/", "kernels/", "shaders/", "router/")


class Tidy:
    def __init__(self, root, exemptions):
        self.root = root
        self.exemptions = exemptions
        self.used = set()
        self.failures = []
        self.warnings = []
        self.files = sorted(list_files(root))
        self.cache = {}

    def text(self, path):
        if path not in self.cache:
            data = (self.root / path).read_bytes()
            self.cache[path] = data.decode("utf-8", errors="replace")
        return self.cache[path]

    def fail(self, rule, path, line, sentence):
        for index, (exempt_rule, pattern, _) in enumerate(self.exemptions):
            if exempt_rule == rule and fnmatch.fnmatchcase(path, pattern):
                self.used.add(index)
                return
        self.failures.append(f"{path}:{line}: {rule}: {sentence}")

    def code_files(self):
        return [p for p in self.files if pathlib.PurePath(p).suffix in CODE]

    # Rules, one function each.

    def check_folders(self):
        for path in self.files:
            top = path.split("/")[0]
            if "/" in path and not top.startswith(".") and top not in FOLDERS:
                self.fail("folder", path, 1, f"the top-level folder {top} is not one of the nine")

    def check_arrows(self):
        for path in self.code_files():
            room = room_of(path)
            if room is None:
                continue
            for number, line in enumerate(self.text(path).splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                quote, name = match.groups()
                target = self.resolve(path, name, quote)
                if target is None:
                    if quote == '"' and name.split("/")[0] in FOLDERS:
                        self.fail("arrow", path, number, f'"{name}" does not exist')
                    continue
                if not may_include(room, path, target):
                    self.fail("arrow", path, number, f"{room} may not include {target}")

    def resolve(self, path, name, quote):
        """The file of the tree that an include means, or None: a system header, or nothing."""
        for folder in ("", *INCLUDE_FOLDERS):
            if (self.root / folder / name).is_file() and (folder or quote == '"'):
                return folder + name
        if quote == "<":
            return None
        beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
        return beside if (self.root / beside).is_file() else None

    def check_sizes(self):
        for path in self.files:
            name = pathlib.PurePath(path)
            if name.suffix in SIZED and path not in GENERATED:
                lines = self.text(path).count("\n")
                if lines > LINES_FAIL:
                    self.fail("size", path, lines, f"{lines} lines; {LINES_FAIL} is the limit")
                elif lines > LINES_WARN:
                    self.warnings.append(f"{path}:{lines}: size: {lines} lines; split it before {LINES_FAIL}")
            if path == "CMakeLists.txt" and self.text(path).count("\n") >= CMAKE_LINES:
                self.fail("size", path, 1, f"the root CMakeLists.txt stays under {CMAKE_LINES} lines")

    def check_orphans(self):
        there = set(self.files)
        for path in self.files:
            if not path.endswith("_test.cpp") or not path.startswith("tests/"):
                continue
            subject = path[len("tests/"):-len("_test.cpp")]
            if not subject.startswith(MIRRORED):
                continue
            # A family of kernels or shaders is a folder with one test: tests/kernels/norm_test.cpp.
            families = {"/".join(p.split("/")[:3]) for p in there if p.startswith("kernels/")}
            families |= {"/".join(p.split("/")[:2]) for p in there if p.startswith("shaders/")}
            family = subject.replace("kernels/", "kernels/cpu/", 1)
            if family not in families and not any(mirror in there for mirror in mirrors(subject)):
                self.fail("orphan", path, 1, f"it mirrors neither {subject}.cpp nor {subject}.h")

    def check_names(self):
        for path in self.files:
            parts = path.split("/")
            for index, part in enumerate(parts):
                where = "/".join(parts[:index + 1])
                if BANNED_STEM.search(part.split(".")[0]) and where not in SHARED_FOLDERS:
                    self.fail("name", path, 1, f"'{part}' says nothing; name the noun that lives there")
                    break

    def check_calls(self):
        for path in self.code_files():
            if path.startswith(("tests/", "benchmarks/")):
                continue
            stripped = strip_comments_and_strings(self.text(path))
            for number, line in enumerate(stripped.splitlines(), 1):
                if STOPS.search(line) and not path.startswith("core/cli/"):
                    self.fail("call", path, number, "library code returns a Status; it does not end the process")
                if PRINTS.search(line) and not path.startswith(SPEAKS):
                    self.fail("call", path, number, "library code does not print")
                if READS_ENV.search(line) and not path.startswith(("core/config/", "core/host/")):
                    self.fail("call", path, number, "only core/config and core/host read the environment")
                if LOADS.search(line) and not path.startswith(("core/host/", "plugins/check/")):
                    self.fail("call", path, number, "core/host is the only room that loads code")
                if ASSERTS.search(line) and path.startswith(INPUT_ROOMS):
                    self.fail("call", path, number, "this room reads input: return an error instead of assert")

    def check_machine_paths(self):
        for path in self.files:
            if is_binary(self.root / path):
                continue
            for number, line in enumerate(self.text(path).splitlines(), 1):
                match = MACHINE_PATH.search(line)
                if match:
                    self.fail("machine-path", path, number, f"'{match.group(0)}' is a path of one machine")

    def check_notes(self):
        for path in self.files:
            name = pathlib.PurePath(path)
            if name.suffix not in SIZED and name.name != "CMakeLists.txt":
                continue
            for number, line in enumerate(self.text(path).splitlines(), 1):
                match = NOTE_TO_SELF.search(line)
                if match:
                    self.fail("note", path, number, f"{match.group(0)}: do it, or open an issue")

    def check_readmes(self):
        there = set(self.files)
        rooms = set()
        for path in self.files:
            parts = path.split("/")
            if parts[0] not in FOLDERS or len(parts) < 2:
                continue
            rooms.add(parts[0])
            if len(parts) > 2 and parts[0] in ("core", "plugins", "backends"):
                rooms.add("/".join(parts[:2]))
        for room in sorted(rooms):
            readme = f"{room}/README.md"
            if readme not in there:
                self.fail("readme", readme, 1, f"{room} has no README.md")
            elif self.text(readme).count("\n") > README_LINES:
                self.fail("readme", readme, 1, f"more than one screen ({README_LINES} lines)")

    def check_generated(self):
        generators = [p for p in self.files if p.endswith("/generate.py") and not p.startswith("tests/")]
        for path in generators:
            done = subprocess.run([sys.executable, str(self.root / path), "--check"], cwd=self.root,
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                said = (done.stdout + done.stderr).strip().splitlines() or ["no reason given"]
                self.fail("generated", path, 1, f"a generated file is stale; run {path}: {said[-1]}")

    def check_weak_symbols(self, build):
        commands = build / "compile_commands.json"
        if not commands.is_file():
            print(f"tidy: no {commands.name} in the build folder; weak symbols were not checked")
            return
        owners = {}
        objects = 0
        for entry in json.loads(commands.read_text(encoding="utf-8")):
            path = os.path.relpath(entry["file"], self.root)
            if not path.startswith("kernels/"):
                continue
            words = shlex.split(entry["command"])
            target = pathlib.Path(entry["directory"]) / words[words.index("-o") + 1]
            if not target.is_file():
                continue
            objects += 1
            isa = " ".join(sorted(w for w in words if w.startswith("-m"))) or "baseline"
            for symbol in weak_symbols(target):
                owners.setdefault(symbol, {}).setdefault(isa, path)
        for symbol, by_isa in sorted(owners.items()):
            if len(by_isa) > 1:
                (first_isa, first), (second_isa, second) = list(by_isa.items())[:2]
                self.fail("weak", first, 1, f"weak symbol {symbol} is also in {second}: the linker keeps one "
                          f"of two instruction sets ({first_isa} | {second_isa})")
        print(f"tidy: weak symbols of {objects} kernel objects")

    def check_exemptions(self):
        for index, (rule, pattern, reason) in enumerate(self.exemptions):
            if not reason:
                self.failures.append(f"tests/tidy/exemptions.txt: '{rule} {pattern}' gives no reason")
            elif index not in self.used:
                self.warnings.append(f"tests/tidy/exemptions.txt: '{rule} {pattern}' exempts nothing; take it out")

    def run(self, build):
        self.check_folders()
        self.check_arrows()
        self.check_sizes()
        self.check_orphans()
        self.check_names()
        self.check_calls()
        self.check_machine_paths()
        self.check_notes()
        self.check_readmes()
        self.check_generated()
        if build is not None:
            self.check_weak_symbols(build)
        self.check_exemptions()


def list_files(root):
    """Files of the working tree, ignored ones left out; relative paths."""
    if (root / ".git").exists():
        done = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
                               "--exclude-standard"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return {p for p in done.stdout.split("\0") if p and (root / p).is_file()}
    found = set()
    for folder, names, files in os.walk(root):
        names[:] = [n for n in names if n not in ("build", ".git", "__pycache__", ".cache")]
        found.update(os.path.relpath(os.path.join(folder, f), root) for f in files)
    return found


def room_of(path):
    if path.startswith(("tests/", "benchmarks/", "configs/")):
        return None
    candidates = [room for room in ARROWS if path.startswith(room + "/")]
    return max(candidates, key=len) if candidates else None


def may_include(room, path, target):
    if target.startswith(EVERYONE) or any(target.startswith(allowed + "/") for allowed in ARROWS[room]):
        return True
    if not target.startswith(room + "/"):
        return False
    # One plugin or backend does not include another one.
    return room not in ("plugins", "backends") or path.split("/")[1] == target.split("/")[1]


def mirrors(subject):
    """Files that subject_test.cpp may test: its own name, or that name less a trailing aspect."""
    folder, _, stem = subject.rpartition("/")
    # What families of shaders share is tested beside them.
    folder = "shaders/include" if folder == "shaders" else folder
    words = stem.split("_")
    for count in range(len(words), 0, -1):
        base = "_".join(words[:count])
        for suffix in (".cpp", ".h", "-inl.h", ".glsl", ".py", ".yaml"):
            yield f"{folder}/{base}{suffix}"
    room = "/".join(folder.split("/")[:2])
    rest = folder[len(room):]
    yield f"{room}/include/tenon{rest}/{stem}.h"


def strip_comments_and_strings(text):
    """The same lines with comments and literals blanked out."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    return pattern.sub(lambda m: "\n" * m.group(0).count("\n") or " ", text)


def is_binary(path):
    with open(path, "rb") as file:
        return b"\0" in file.read(4096)


def weak_symbols(target):
    done = subprocess.run(["nm", "--defined-only", str(target)], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        words = line.split()
        # DW.ref.*: the personality routine's pointer, the same whatever the instruction set.
        if len(words) == 3 and words[1] in "WVu" and not words[2].startswith("DW.ref."):
            yield words[2]


def load_exemptions(path):
    """Lines "rule pattern: reason"; # starts a comment."""
    exemptions = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                head, _, reason = line.partition(":")
                rule, _, pattern = head.strip().partition(" ")
                exemptions.append((rule, pattern.strip(), reason.strip()))
    return exemptions


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Checks the rules of the house.")
    parser.add_argument("--root", type=pathlib.Path, default=here.parent.parent)
    parser.add_argument("--build", type=pathlib.Path, default=None)
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    tidy = Tidy(root, load_exemptions(root / "tests/tidy/exemptions.txt"))
    tidy.run(arguments.build)
    for line in tidy.warnings:
        print(f"warning: {line}")
    for line in tidy.failures:
        print(line)
    print(f"tidy: {len(tidy.files)} files, {len(tidy.failures)} failures, {len(tidy.warnings)} warnings")
    return 1 if tidy.failures else 0


if __name__ == "__main__":
    sys.exit(main())
