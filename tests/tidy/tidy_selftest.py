#!/usr/bin/python3
"""Seeds one violation of each kind in a temporary tree and expects tidy.py to name it, and it alone."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TIDY = pathlib.Path(__file__).resolve().parent / "tidy.py"
CLEAN = {
    "CMakeLists.txt": "project(x)\n",
    "core/README.md": "# core\n",
    "core/base/README.md": "# base\n",
    "core/base/result.h": "#pragma once\n",
    "core/formats/README.md": "# formats\n",
    "core/formats/gguf.cpp": '#include "core/base/result.h"\nint parse() { return 0; }\n',
    "core/abi/README.md": "# abi\n",
    "core/abi/include/tenon/abi.h": "#pragma once\n",
    "core/abi/include/tenon/reference/rope.h": "#pragma once\n",
    "backends/README.md": "# backends\n",
    "backends/cpu/README.md": "# cpu\n",
    "backends/cpu/plugin.cpp": '#include "kernels/cpu/dot.h"\n#include <tenon/abi.h>\n',
    "kernels/README.md": "# kernels\n",
    "kernels/cpu/dot.h": "#pragma once\n",
    "kernels/cpu/norm/norm_avx2.cpp": "\n",
    "tests/README.md": "# tests\n",
    "tests/kernels/norm_test.cpp": "\n",
    "tests/core/formats/gguf_test.cpp": '#include "core/formats/gguf.cpp"\n',
    "tests/core/formats/gguf_limits_test.cpp": "\n",
    "tests/core/abi/reference/rope_test.cpp": "\n",
}


def run_tidy(files, build=None):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = [sys.executable, str(TIDY), "--root", str(root)]
        if build is not None:
            build(root)
            command += ["--build", str(root / "build")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    findings = [line for line in done.stdout.splitlines() if not line.startswith(("warning: ", "tidy: "))]
    return done.returncode, findings, done.stdout + done.stderr


class Seeded(unittest.TestCase):
    def expect(self, rule, path, sentence="", **files):
        seeded = dict(CLEAN)
        for key, text in files.pop("seed").items():
            if text is None:
                del seeded[key]
            else:
                seeded[key] = text
        code, findings, output = run_tidy(seeded, files.get("build"))
        self.assertEqual(code, 1, output)
        self.assertEqual(len(findings), 1, output)
        self.assertTrue(findings[0].startswith(path + ":"), output)
        self.assertIn(f": {rule}: ", findings[0])
        self.assertIn(sentence, findings[0])

    def test_clean_tree_passes(self):
        code, findings, output = run_tidy(CLEAN)
        self.assertEqual((code, findings), (0, []), output)

    def test_tenth_folder(self):
        self.expect("folder", "libs/x.txt", seed={"libs/x.txt": "\n"})

    def test_core_includes_backend(self):
        self.expect("arrow", "core/base/a.cpp", "may not include",
                    seed={"core/base/a.cpp": '#include "kernels/cpu/dot.h"\n'})

    def test_backend_includes_core(self):
        self.expect("arrow", "backends/cpu/a.cpp", seed={"backends/cpu/a.cpp": '#include "core/base/result.h"\n'})

    def test_core_includes_the_sdk(self):
        self.expect("arrow", "core/base/a.cpp",
                    seed={"core/base/a.cpp": "#include <tenon/plugin.h>\n", "plugins/README.md": "\n",
                          "plugins/sdk/README.md": "\n", "plugins/sdk/include/tenon/plugin.h": "\n"})

    def test_backend_includes_its_neighbour(self):
        self.expect("arrow", "backends/null/a.cpp",
                    seed={"backends/null/a.cpp": '#include "backends/cpu/plugin.cpp"\n',
                          "backends/null/README.md": "\n"})

    def test_backend_includes_what_backends_share(self):
        shared = {"backends/common/x.h": "#include <tenon/abi.h>\n", "backends/common/README.md": "\n"}
        code, _, output = run_tidy({**CLEAN, **shared,
                                    "backends/cpu/a.cpp": '#include "backends/common/x.h"\n'})
        self.assertEqual(code, 0, output)
        self.expect("arrow", "core/base/a.cpp",
                    seed={**shared, "core/base/a.cpp": '#include "backends/common/x.h"\n'})

    def test_what_backends_share_includes_a_device(self):
        for target in ("backends/cpu/plugin.cpp", "kernels/cpu/dot.h"):
            self.expect("arrow", "backends/common/x.h",
                        seed={"backends/common/x.h": f'#include "{target}"\n',
                              "backends/common/README.md": "\n"})

    def test_low_room_includes_high_room(self):
        self.expect("arrow", "core/base/a.cpp", seed={"core/base/a.cpp": '#include "../formats/gguf.cpp"\n'})

    def test_include_of_nothing(self):
        self.expect("arrow", "core/base/a.cpp", "does not exist",
                    seed={"core/base/a.cpp": '#include "core/base/gone.h"\n'})

    def test_file_too_long(self):
        self.expect("size", "core/base/a.h", seed={"core/base/a.h": "\n" * 801})

    def test_long_file_warns(self):
        code, _, output = run_tidy({**CLEAN, "core/base/a.h": "\n" * 501})
        self.assertEqual(code, 0)
        self.assertIn("warning: core/base/a.h", output)

    def test_root_cmake_too_long(self):
        self.expect("size", "CMakeLists.txt", seed={"CMakeLists.txt": "\n" * 150})

    def test_orphaned_test(self):
        self.expect("orphan", "tests/core/formats/zip_test.cpp", seed={"tests/core/formats/zip_test.cpp": "\n"})

    def test_exempted_orphan_passes(self):
        code, _, output = run_tidy({**CLEAN, "tests/core/formats/zip_test.cpp": "\n",
                                    "tests/tidy/exemptions.txt": "orphan tests/core/formats/zip_test.cpp: a reason\n"})
        self.assertEqual(code, 0, output)

    def test_exemption_without_reason(self):
        code, _, output = run_tidy({**CLEAN, "tests/core/formats/zip_test.cpp": "\n",
                                    "tests/tidy/exemptions.txt": "orphan tests/core/formats/zip_test.cpp:\n"})
        self.assertEqual(code, 1)
        self.assertIn("gives no reason", output)

    def test_empty_name(self):
        for name in ("core/base/utils.h", "core/base/string_utils.h", "core/base/common/x.h", "core/base/helpers.cpp"):
            self.expect("name", name, seed={name: "\n"})

    def test_backends_common_is_a_name(self):
        code, _, output = run_tidy({**CLEAN, "backends/common/x.h": "\n", "backends/common/README.md": "\n",
                                    "tests/backends/common/x_test.cpp": "\n"})
        self.assertEqual(code, 0, output)

    def test_banned_calls(self):
        for text in ("std::abort();", "exit(1);", 'printf("x");', "std::cout << 1;", 'std::getenv("A");',
                     "void* h = dlopen(p, 0);", "assert(size > 4);"):
            self.expect("call", "core/formats/a.cpp", seed={"core/formats/a.cpp": f"void f() {{\n{text}\n}}\n"})

    def test_words_that_are_no_calls(self):
        text = '// exit(1)\nauto s = "printf(1)"; queue.abort(); snprintf(b, 1, s); static_assert(sizeof(int) == 4);\n'
        code, _, output = run_tidy({**CLEAN, "core/formats/a.cpp": text})
        self.assertEqual(code, 0, output)

    def test_machine_path(self):
        self.expect("machine-path", "core/base/README.md", seed={"core/base/README.md": "see /home/someone/x\n"})

    def test_note_to_self(self):
        self.expect("note", "core/base/result.h", seed={"core/base/result.h": "// TODO later\n"})

    def test_room_without_readme(self):
        self.expect("readme", "core/formats/README.md", seed={"core/formats/README.md": None})

    def test_readme_too_long(self):
        self.expect("readme", "core/base/README.md", seed={"core/base/README.md": "x\n" * 61})

    def test_stale_generated_file(self):
        self.expect("generated", "core/abi/generate.py", "layout.json is stale",
                    seed={"core/abi/generate.py": "print('layout.json is stale')\nraise SystemExit(1)\n"})

    @unittest.skipUnless(shutil.which("clang-format-14"), "clang-format-14 is missing")
    def test_layout(self):
        style = {".clang-format": "BasedOnStyle: Google\nSortIncludes: Never\n"}
        self.expect("format", "core/base/a.cpp:2", "run clang-format-14 -i core/base/a.cpp",
                    seed={**style, "core/base/a.cpp": "int a;\nint  b;\nint  c;\n",
                          "core/base/table.cpp": "// Generated by tests/x/make_table.py.\nint  b;\n"})
        self.expect("format", ".clang-format", seed={".clang-format": "BasedOnStyle: none such\n"})

    def test_weak_symbol_of_two_instruction_sets(self):
        source = "inline int twice(int x) { return 2 * x; }\nint (*NAME)(int) = twice;\n"

        def build(root):
            (root / "build").mkdir()
            commands = []
            for name, flag in (("a", "-mtune=generic"), ("b", "")):
                words = f"g++ {flag} -O0 -o {name}.o -c ../kernels/cpu/{name}.cpp".replace("  ", " ")
                subprocess.run(words.split(), cwd=root / "build", check=True)
                commands.append({"directory": str(root / "build"), "command": words,
                                 "file": str(root / f"kernels/cpu/{name}.cpp")})
            (root / "build/compile_commands.json").write_text(json.dumps(commands), encoding="utf-8")

        self.expect("weak", "kernels/cpu/a.cpp", "twice", build=build,
                    seed={"kernels/cpu/a.cpp": source.replace("NAME", "a"),
                          "kernels/cpu/b.cpp": source.replace("NAME", "b")})


if __name__ == "__main__":
    unittest.main()
