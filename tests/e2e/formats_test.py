#!/usr/bin/python3
"""Models in several files, and models in a format that only a manifest knows."""
import os
import random
import subprocess
import sys
import time

import product
import split_gguf

WORDS = ("hi", "-n", "6", "--temp", "0")


class SplitTest(product.ProductTest):
    def setUp(self):
        super().setUp()
        self.parts = [path.name for path in split_gguf.split(
            self.folder / "model.gguf", self.folder / "m", 3)]

    def refuses(self, name, pattern):
        self.assertRegex(self.refused("run", name, *WORDS, code=1), pattern)

    def test_any_part_opens_the_whole(self):
        whole = self.good("run", "model.gguf", *WORDS)
        for part in self.parts:
            self.assertEqual(self.good("run", part, *WORDS), whole)

    def test_links_to_parts_are_followed(self):
        (self.folder / "links").mkdir()
        for number, part in enumerate(self.parts):
            (self.folder / part).rename(self.folder / f"blob{number}")
            (self.folder / "links" / part).symlink_to(f"../blob{number}")
        self.assertEqual(self.good("run", f"links/{self.parts[1]}", *WORDS),
                         self.good("run", "model.gguf", *WORDS))

    def test_a_missing_part(self):
        (self.folder / self.parts[1]).unlink()
        self.refuses(self.parts[0], f"part 2 of 3 of its model: .*{self.parts[1]}.*No such file")

    def test_swapped_parts(self):
        first, second = (self.folder / name for name in self.parts[1:])
        first.rename(self.folder / "x")
        second.rename(first)
        (self.folder / "x").rename(second)
        self.refuses(self.parts[0], "00002-of-00003.gguf: split.no says that it is part 3")

    def test_a_part_twice(self):
        (self.folder / self.parts[2]).write_bytes((self.folder / self.parts[1]).read_bytes())
        self.refuses(self.parts[0], "00003-of-00003.gguf: split.no says that it is part 2")

    def test_a_part_of_another_model(self):
        others = split_gguf.split(product.TINY / "mistral-f32.gguf", self.folder / "other", 3)
        others[1].rename(self.folder / self.parts[1])
        self.refuses(self.parts[0], "tensor .* is in .* too|a part is not of this model")

    def test_a_part_cut_short(self):
        path = self.folder / self.parts[2]
        path.write_bytes(path.read_bytes()[:-100])
        self.refuses(self.parts[0], "00003-of-00003.gguf: truncated: .*needs")

    def test_a_part_cut_short_while_it_is_used(self):
        """Whatever the moment: a whole answer or one sentence, and never a signal."""
        last = self.folder / self.parts[2]
        whole = last.read_bytes()
        chance = random.Random(20261121)
        for _ in range(12):
            last.write_bytes(whole)
            process = self.start("run", self.parts[0], "hi", "-n", "20", "--temp", "0")
            time.sleep(chance.uniform(0, 0.03))
            os.truncate(last, chance.choice((0, 4096, 40000)))
            _, err = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, 1), err)
            self.assertEqual(err.count(b"\n"), process.returncode, err)

    def test_a_part_under_another_name(self):
        (self.folder / self.parts[0]).rename(self.folder / "first.gguf")
        self.refuses("first.gguf", "its name must end in -00001-of-00003.gguf")


class MadeUpFormatTest(product.ProductTest):
    def test_a_manifest_is_all_it_takes(self):
        script = product.ROOT / "tests" / "accept" / "custom_format.py"
        done = subprocess.run(
            [sys.executable, script, "--tenon", product.BINARY, "--seed", "2"], text=True,
            capture_output=True, env=self.environment(PYTHONDONTWRITEBYTECODE="1"), timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("seed 2 scalar", done.stdout)

    def test_a_conflict_is_told_where_it_matters(self):
        folder = self.folder / "plugins" / "toy"
        folder.mkdir(parents=True)
        (folder / "plugin.yaml").write_text(
            "id: toy\nversion: 1.0.0\nkinds: [quant]\nformats:\n"
            "  - {id: toy.q8/0, name: q8_toy, gguf_type: 8, class: affine_group, bits: 8, group: 32,\n"
            "     block_elems: 32, block_bytes: 34, packing: bytes, codes_offset: 2,\n"
            "     scale: {type: f16, offset: 0}}\n", encoding="utf-8")
        for path in (folder.parent, folder, folder / "plugin.yaml"):
            path.chmod(0o755)
        listed = self.good("plugins", "list", "--why", "--plugin-dir", "plugins")
        self.assertIn("format 'q8_toy': number 8 is taken by 'q8_0', which is built in", str(listed))
        # Models that need none of it run as before.
        self.assertEqual(self.good("run", "model.gguf", *WORDS, "--plugin-dir", "plugins"),
                         self.good("run", "model.gguf", *WORDS))


if __name__ == "__main__":
    product.main()
