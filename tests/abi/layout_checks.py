#!/usr/bin/python3
"""layout.json -> lines for layout_test.cpp: STRUCT(name, size), FIELD(name, field, offset, size).

usage: layout_checks.py layout.json OUTPUT
"""
import json
import sys

source, output = sys.argv[1:]
with open(source, encoding="utf-8") as stream:
    layout = json.load(stream)
lines = [f"FINGERPRINT({layout['revision']}u, 0x{layout['fingerprint']}ull)"]
for name, struct in layout["structs"].items():
    if name in ("tenon_backend", "tenon_sched", "tenon_plugin"):
        name += "_table"  # layout.json names a table without its suffix
    lines.append(f"STRUCT({name}, {struct['size']})")
    for field in struct["fields"]:
        lines.append(f"FIELD({name}, {field['name']}, {field['offset']}, {field['size']})")
with open(output, "w", encoding="utf-8") as stream:
    stream.write("\n".join(lines) + "\n")
