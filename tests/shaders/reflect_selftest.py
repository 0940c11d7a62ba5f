"""shaders/reflect.py on modules made here: reflect_selftest.py GLSLANG."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shaders"))
from reflect import Reflection  # noqa: E402

GLSLANG = sys.argv.pop(1)
SHADER = """#version 450
layout(local_size_x = 8) in;
layout(push_constant) uniform Push {{ {push} }};
layout(std430, binding = 3) buffer Out {{ float y[]; }};
void main() {{ y[gl_GlobalInvocationID.x] = float({use}); }}
"""


def reflect(push, use):
    with tempfile.TemporaryDirectory() as folder:
        source, module = Path(folder) / "made.comp", Path(folder) / "made.spv"
        source.write_text(SHADER.format(push=push, use=use))
        subprocess.run([GLSLANG, "--target-env", "vulkan1.2", "-o", module, source], check=True, capture_output=True)
        data = module.read_bytes()
    return Reflection([int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)])


class PushConstants(unittest.TestCase):
    def test_words_one_behind_the_other(self):
        found = reflect("uint a; float b; int c;", "b")
        self.assertEqual((found.push_bytes, found.binding_mask, found.local_size), (12, 8, [8, 1, 1]))

    def test_a_gap_is_refused(self):
        with self.assertRaisesRegex(ValueError, r"at bytes \[0, 8\]"):
            reflect("uint a; layout(offset = 8) float b;", "b")

    def test_another_order_is_refused(self):
        with self.assertRaisesRegex(ValueError, r"at bytes \[4, 0\]"):
            reflect("layout(offset = 4) uint a; layout(offset = 0) float b;", "b")

    def test_what_cpp_aligns_otherwise_is_refused(self):
        for push, use in (("uint a; vec3 b;", "b.x"), ("float a[2];", "a[1]")):
            with self.assertRaisesRegex(ValueError, "structs of 32-bit numbers"):
                reflect(push, use)


class Modules(unittest.TestCase):
    def test_other_words_are_refused(self):
        with self.assertRaisesRegex(ValueError, "magic number"):
            Reflection([1, 2, 3, 4, 5])
        with self.assertRaisesRegex(ValueError, "ends beyond the module"):
            Reflection([0x07230203, 0, 0, 0, 0, 9 << 16 | 17, 1])


if __name__ == "__main__":
    unittest.main()
