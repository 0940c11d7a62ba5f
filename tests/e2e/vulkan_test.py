#!/usr/bin/python3
"""The Vulkan backend from outside: what the program says of it, and what goes wrong there."""
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


if __name__ == "__main__":
    product.main()
