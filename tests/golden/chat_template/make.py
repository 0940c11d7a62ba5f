#!/usr/bin/python3
"""Writes golden.jsonl (one case a line, as jinja2 renders it), or with --live SEED COUNT prints random cases.
With --published FOLDER prints the committed conversations, and random ones, under every template of FOLDER.

Needs python3-jinja2. Run by hand when cases.py, expressions.txt or a template changes."""
import sys

import cases
import reference


def main():
    if sys.argv[1:2] == ["--live"]:
        sys.stdout.reconfigure(encoding="utf-8")
        for source, context in cases.random_cases(int(sys.argv[2]), int(sys.argv[3])):
            print(reference.case(source, context))
        return
    if sys.argv[1:2] == ["--published"]:
        sys.stdout.reconfigure(encoding="utf-8")
        for source, context in cases.published_cases(sys.argv[2]):
            line = reference.case(source, context)
            # What is a generator there is a list here, which can be printed.
            if "type generator is not JSON serializable" not in line:
                print(line)
        return
    lines = [reference.case(cases.template(name), context, template=name)
             for name in cases.TEMPLATES for context in cases.conversations()]
    lines += [reference.case(source, cases.SNIPPET_CONTEXT, name="expression") for source in cases.snippets()]
    (cases.HERE / "golden.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
