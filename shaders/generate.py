#!/usr/bin/python3
"""Compiles the shaders of one family, or writes the list of all.

generate.py family DIR --out NAME [--tools PREFIX]   DIR/variants.yaml -> NAME.cpp, NAME.json, NAME.d
generate.py list NAME.json... --out FILE.cpp         the functions of shader_list.h
generate.py --check                                  whether every variants.yaml is well formed

README.md describes variants.yaml. Every module is compiled by glslangValidator for Vulkan 1.2,
optimised by spirv-opt and checked by spirv-val; what it needs of a device must be what its
`requires` says. A module whose sources, options and tools did not change is not compiled again.
Debian's tools build all variants but those of `tools: optional`, which PREFIX/bin builds, or nobody.
"""
import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

from reflect import Reflection

ROOT = pathlib.Path(__file__).resolve().parent
REPOSITORY = ROOT.parent
FIELDS = {"name", "source", "defines", "requires", "spec", "each", "optimize", "tools"}
# Capabilities of SPIR-V (name or pattern) by the requirement that allows them.
CAPABILITIES = {
    "Shader": None,
    "VulkanMemoryModel": "coopmat",
    "GroupNonUniform.*": "subgroup",
    "Float16": "float16",
    "Int8": "int8",
    "Int16": "int16",
    "Int64": "int64",
    "StorageBuffer8BitAccess|UniformAndStorageBuffer8BitAccess": "storage8",
    "StorageBuffer16BitAccess|UniformAndStorageBuffer16BitAccess": "storage16",
    "DotProduct.*": "int_dot",
    "CooperativeMatrixKHR": "coopmat",
}
REQUIREMENTS = sorted({name for name in CAPABILITIES.values() if name})


class Mistake(Exception):
    """What is wrong with a family, one sentence a line."""


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def expand(entry, where):
    """One entry of variants.yaml -> its variants: `each` multiplies, names hold {KEY}."""
    if not isinstance(entry, dict) or "name" not in entry:
        raise Mistake(f"{where}: a variant is a mapping with a name; seen: {entry!r}")
    unknown = set(entry) - FIELDS
    if unknown:
        raise Mistake(f"{where}: variant {entry['name']} has unknown fields: {', '.join(sorted(unknown))}")
    each = entry.get("each") or {}
    for values in itertools.product(*each.values()):
        chosen = dict(zip(each, values))
        variant = {key: value for key, value in entry.items() if key != "each"}
        try:
            variant["name"] = str(entry["name"]).format(**chosen)
        except (KeyError, IndexError) as error:
            raise Mistake(f"{where}: the name {entry['name']} asks for {error}, which `each` does not have")
        variant["defines"] = {**(entry.get("defines") or {}), **chosen}
        variant["requires"] = list(entry.get("requires") or [])
        wrong = sorted(set(variant["requires"]) - set(REQUIREMENTS))
        if wrong:
            raise Mistake(f"{where}: variant {variant['name']} requires {', '.join(wrong)}; known are "
                          f"{', '.join(REQUIREMENTS)}")
        if entry.get("tools", "optional") != "optional":
            raise Mistake(f"{where}: variant {variant['name']} says tools: {entry['tools']}; known is optional")
        if not re.fullmatch(r"[a-z0-9_]+", variant["name"]):
            raise Mistake(f"{where}: the name {variant['name']} is not in snake case")
        yield variant


def read_variants(folder):
    path = folder / "variants.yaml"
    where = path.relative_to(REPOSITORY)
    try:
        document = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise Mistake(f"{where}: {error}")
    if not isinstance(document, dict) or set(document) != {"variants"}:
        raise Mistake(f"{where}: the file holds one key, `variants`, a list")
    variants = [v for entry in document["variants"] for v in expand(entry, where)]
    seen = set()
    for variant in variants:
        if variant["name"] in seen:
            raise Mistake(f"{where}: two variants are named {variant['name']}")
        seen.add(variant["name"])
        variant["source"] = folder / variant.get("source", f"{folder.name}.comp.glsl")
        if not variant["source"].is_file():
            raise Mistake(f"{where}: variant {variant['name']} wants {variant['source'].name}, which is not there")
    return variants


class Tools:
    """The three programs: Debian's, or those of a prefix."""

    def __init__(self, prefix):
        self.prefix = prefix
        # With the tools' own versions, so that a changed tool compiles everything again.
        self.versions = "".join(self.run("glslangValidator", "--version") + self.run("spirv-val", "--version")
                                + self.run("spirv-opt", "--version"))

    def path(self, name):
        return str(self.prefix / "bin" / name) if self.prefix else name

    def run(self, name, *arguments):
        """Its output; a Mistake that holds the output when it fails."""
        command = [self.path(name), *map(str, arguments)]
        try:
            # From the root, so that a message names the file as the repository does.
            done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False)
        except FileNotFoundError:
            held = "TENON_SHADER_TOOLS names the prefix" if self.prefix else "glslang-tools and spirv-tools hold it"
            raise Mistake(f"{self.path(name)} is not there; {held}.")
        if done.returncode != 0:
            raise Mistake(done.stdout.strip() or f"{name} failed with {done.returncode} and said nothing.")
        return done.stdout


def read_depfile(path):
    text = path.read_text().split(":", 1)[1].replace("\\\n", " ")
    return sorted(str((REPOSITORY / name).resolve()) for name in text.split())


def digest(files, command):
    state = hashlib.sha256(json.dumps(command).encode())
    for name in files:
        state.update(hashlib.sha256(pathlib.Path(name).read_bytes()).digest())
    return state.hexdigest()


def compile_variant(variant, tools, folder):
    """-> (path of the module, files it was made of). Kept in `folder` between runs."""
    stem = folder / variant["name"]
    module, raw, depfile, note = (stem.with_suffix(s) for s in (".spv", ".raw.spv", ".d", ".key"))
    source = variant["source"].relative_to(REPOSITORY)
    arguments = ["-V", "--target-env", "vulkan1.2", "-S", "comp", "--quiet", "-Ishaders", "-I.",
                 *(f"-D{key}={value}" for key, value in variant["defines"].items())]
    optimize = variant.get("optimize", True)
    command = [arguments, str(source), optimize, tools.versions]
    if module.is_file() and note.is_file():
        kept = json.loads(note.read_text())
        if all(os.path.isfile(f) for f in kept["files"]) and kept["digest"] == digest(kept["files"], command):
            return module, kept["files"]
    note.unlink(missing_ok=True)
    try:
        tools.run("glslangValidator", *arguments, "--depfile", depfile, "-o", raw, source)
        tools.run("spirv-val", "--target-env", "vulkan1.2", raw)
        passes = ["-O"] if optimize else []
        tools.run("spirv-opt", "--target-env=vulkan1.2", *passes, "--strip-debug", raw, "-o", module)
        tools.run("spirv-val", "--target-env", "vulkan1.2", module)
    except Mistake as mistake:
        raise Mistake(f"{source}: variant {variant['name']} ({' '.join(arguments[8:]) or 'no defines'}):\n{mistake}")
    files = read_depfile(depfile)
    note.write_text(json.dumps({"files": files, "digest": digest(files, command)}))
    return module, files


def check_needs(variant, reflection):
    for capability in reflection.capabilities:
        for pattern, requirement in CAPABILITIES.items():
            if re.fullmatch(pattern, capability):
                if requirement and requirement not in variant["requires"]:
                    raise Mistake(f"variant {variant['name']} uses {capability}, so it must say "
                                  f"`requires: [{requirement}]`")
                break
        else:
            raise Mistake(f"variant {variant['name']} uses {capability}, which no device is asked for")
    for name, number in (variant.get("spec") or {}).items():
        if number not in reflection.spec_ids:
            raise Mistake(f"variant {variant['name']} names {name} as specialization constant {number}, "
                          f"which its module does not have; it has {sorted(reflection.spec_ids)}")


def symbol(family, name):
    return f"k{camel(family)}_{name}"


def words_of(path):
    data = path.read_bytes()
    return [int.from_bytes(data[i:i + 4], "little") for i in range(0, len(data), 4)]


def make_family(folder, out, tools):
    debian, newer = Tools(None), Tools(tools.resolve()) if tools else None
    folder = folder.resolve()
    work = out.with_suffix(".spv")
    work.mkdir(parents=True, exist_ok=True)
    variants = read_variants(folder)
    skipped = [v["name"] for v in variants if "tools" in v and newer is None]
    variants = [v for v in variants if v["name"] not in skipped]
    mistakes, modules = [], []
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for future in [pool.submit(compile_variant, v, newer if "tools" in v else debian, work)
                       for v in variants]:
            try:
                modules.append(future.result())
            except Mistake as mistake:
                mistakes.append(str(mistake))
    if mistakes:
        # Variants of one source share their errors: the first few are enough.
        raise Mistake("\n\n".join(mistakes[:3]) + (f"\n\nand {len(mistakes) - 3} more" if len(mistakes) > 3 else ""))

    files = {str(folder / "variants.yaml"), str(ROOT / "generate.py"), str(ROOT / "reflect.py")}
    table = []
    lines = [f"// Written by shaders/generate.py from shaders/{folder.name}/variants.yaml.", "#include <cstdint>", "",
             "namespace tenon::shaders {", ""]
    for variant, (module, made_of) in zip(variants, modules):
        files.update(made_of)
        words = words_of(module)
        try:
            reflection = Reflection(words)
            check_needs(variant, reflection)
        except (Mistake, ValueError) as mistake:
            raise Mistake(f"{variant['source'].relative_to(REPOSITORY)}: {mistake}")
        lines.append(f"extern const uint32_t {symbol(folder.name, variant['name'])}[];")
        lines.append(f"const uint32_t {symbol(folder.name, variant['name'])}[] = {{")
        lines.extend(",".join(map(str, words[i:i + 16])) + "," for i in range(0, len(words), 16))
        lines.append("};\n")
        table.append({"family": folder.name, "name": variant["name"], "n_words": len(words),
                      "requires": variant["requires"], "push_bytes": reflection.push_bytes,
                      "binding_mask": reflection.binding_mask, "spec_mask": reflection.spec_mask,
                      "shared_bytes": reflection.shared_bytes, "local_size": reflection.local_size})
    lines.append("}  // namespace tenon::shaders")
    out.with_suffix(".cpp").write_text("\n".join(lines) + "\n")
    out.with_suffix(".json").write_text(json.dumps(table, indent=1) + "\n")
    out.with_suffix(".d").write_text(f"{out}.cpp {out}.json: " + " ".join(sorted(files)) + "\n")
    for name in skipped:
        print(f"{folder.name}: variant {name} is left out: it needs newer shader tools; shaders/README.md says which")


def make_list(inputs, out):
    table = [entry for path in sorted(inputs) for entry in json.loads(path.read_text())]
    lines = ["// Written by shaders/generate.py.", '#include "shaders/shader_list.h"', "", "#include <cstring>", "",
             "namespace tenon::shaders {"]
    for entry in table:
        lines.append(f"extern const uint32_t {symbol(entry['family'], entry['name'])}[];")
    lines += ["namespace {", "const ShaderVariant kList[] = {"]
    for e in table:
        bits = " | ".join(f"kRequires{camel(name)}" for name in e["requires"]) or "0"
        lines.append(f'    {{"{e["family"]}", "{e["name"]}", {symbol(e["family"], e["name"])}, {e["n_words"]}u, {bits}, '
                     f'{e["push_bytes"]}u, {e["binding_mask"]:#x}u, {e["spec_mask"]:#x}u, {e["shared_bytes"]}u, '
                     f'{{{", ".join(f"{n}u" for n in e["local_size"])}}}}},')
    # An array of no element is not C++: the list of no family ends in an empty entry.
    lines += ["    {}};", "}  // namespace", "",
              "const ShaderVariant* shader_list(uint32_t* count) {", f"    *count = {len(table)};",
              "    return kList;", "}", "",
              "const ShaderVariant* find_shader(const char* family, const char* name) {",
              f"    for (uint32_t i = 0; i < {len(table)}u; ++i) {{",
              "        if (std::strcmp(kList[i].family, family) == 0 && std::strcmp(kList[i].name, name) == 0) {",
              "            return &kList[i];", "        }", "    }", "    return nullptr;", "}",
              "}  // namespace tenon::shaders"]
    out.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    verbs = parser.add_subparsers(dest="verb")
    family = verbs.add_parser("family")
    family.add_argument("folder", type=pathlib.Path)
    family.add_argument("--out", type=pathlib.Path, required=True)
    family.add_argument("--tools", type=pathlib.Path)
    table = verbs.add_parser("list")
    table.add_argument("inputs", type=pathlib.Path, nargs="*")
    table.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    try:
        if arguments.check:
            for path in sorted(ROOT.glob("*/variants.yaml")):
                read_variants(path.parent)
        elif arguments.verb == "family":
            make_family(arguments.folder, arguments.out, arguments.tools)
        elif arguments.verb == "list":
            make_list(arguments.inputs, arguments.out)
        else:
            parser.error("say family, list or --check")
    except Mistake as mistake:
        sys.exit(f"{mistake}")


if __name__ == "__main__":
    main()
