#!/usr/bin/python3
"""The Vulkan backend from outside: what the program says of it, and what goes wrong there."""
import re
import shutil
import subprocess

import product


class VulkanTest(product.ProductTest):
    needs_backend = "vulkan"

    def setUp(self):
        super().setUp()
        found = subprocess.run([str(product.BINARY), "devices", "--backend", "vulkan"], cwd=self.folder,
                               env=self.environment(), capture_output=True)
        if found.returncode != 0:
            self.skipTest("this machine has no Vulkan device: " + found.stderr.decode().strip())


class InspectTest(VulkanTest):
    def test_names_what_reads_each_weight(self):
        shutil.copy(product.TINY / "llama3-tied-q4_0.gguf", self.folder / "q4.gguf")
        for name, layout in (("model.gguf", "f32"), ("q4.gguf", "4-bit codes, f16 scale per 32")):
            seen = self.json("inspect", name, "--backend", "vulkan")
            self.assertTrue(seen["runs"], seen["problems"])
            for group in seen["weights"]:
                self.assertTrue(group["kernel"], group)
            kernels = [group["kernel"] for group in seen["weights"] if "matmul" in group["use"]]
            self.assertTrue(any(kernel.startswith(layout + ", matmul:") for kernel in kernels), kernels)
            self.assertTrue(any(", embed:plain" in group["kernel"] for group in seen["weights"]), seen["weights"])

    def test_a_forced_variant_is_the_one_named(self):
        seen = self.json("inspect", "model.gguf", "--backend", "vulkan", "--set", "vulkan.force_variant=matmul:plain")
        kernels = [group["kernel"] for group in seen["weights"] if group["use"] == "matmul"]
        self.assertTrue(kernels)
        for kernel in kernels:
            self.assertRegex(kernel, r"matmul:plain$")


class LogTest(VulkanTest):
    def test_a_pipeline_cache_that_cannot_be_kept_is_a_warning(self):
        words = ("run", "model.gguf", "a", "-n", "1", "--temp", "0", "--backend", "vulkan")
        answer = self.call(*words, "--set", "vulkan.pipeline_cache=/proc/nowhere")
        self.assertEqual((answer.code, answer.out), (0, self.good(*words)), answer.err)
        self.assertRegex(answer.err, r"^tenon: warning: [^\n]*/proc/nowhere[^\n]*\n$")


class AutoTest(VulkanTest):
    """A driver whose device nodes are not there is loaded only where no other plugin has a device."""

    def installed(self, *backends):
        """A program in a place of its own, with these backends and the policies beside it."""
        place = self.folder / "-".join(backends)
        (place / "bin").mkdir(parents=True)
        program = place / "bin/tenon"
        shutil.copy(product.BINARY, program)
        for plugin in (*backends, "fcfs", "prefix"):
            shutil.copytree(product.BACKENDS / plugin, place / "lib/tenon/plugins" / plugin)
        manifest = place / "lib/tenon/plugins/vulkan/plugin.yaml"
        text, count = re.subn(r"(?ms)^device_nodes: .*?\]\n", "device_nodes: [/dev/tenon-none]\n", manifest.read_text())
        self.assertEqual(count, 1)
        manifest.write_text(text)
        return program

    def libraries(self, program):
        """What the dynamic linker loads while the program answers."""
        answer = subprocess.run([str(program), "run", "model.gguf", "a", "-n", "1", "--temp", "0"], cwd=self.folder,
                                env=self.environment() | {"LD_DEBUG": "files"}, capture_output=True, text=True)
        self.assertEqual(answer.returncode, 0, answer.stderr[-500:])
        return answer.stderr

    def test_takes_what_shows_itself_first(self):
        self.assertNotIn("libvulkan", self.libraries(self.installed("cpu", "vulkan")))
        self.assertIn("libvulkan", self.libraries(self.installed("vulkan")))


if __name__ == "__main__":
    product.main()
