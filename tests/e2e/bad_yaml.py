"""Configuration files that are wrong, each class in its own way, the same ones for the same seed.

files(seed, count) yields BadFile: its bytes, and what must be said of it: the places, as (line, column), of
all mistakes where the text is YAML ("semantic"), or None where only the first place can be named.
"""
import collections
import random

BadFile = collections.namedtuple("BadFile", "kind data places words")

# Lines that are right; one or more of them are replaced or joined by wrong ones.
GOOD = ["host: 127.0.0.1", "port: 8080", "threads: 2", "compute: precise", "strict: true",
        "served_model_name: [a, b]", "io_threads: 2", "context_length: 4096", "fallback: warn"]


def misspelt(draw, name):
    """Two letters swapped: near enough to be told."""
    at = draw.randrange(1, len(name) - 2)
    return name[:at] + name[at + 1] + name[at] + name[at + 2:]


def unknown_key(draw):
    name = draw.choice(["chunked_prefill_size", "kv_cache_dtype", "max_running_requests", "plugin_dirs",
                        "schedule_conservativeness", "trusted_proxies", "served_model_name"])
    wrong = misspelt(draw, name)
    if wrong == name:
        wrong = name[:-1]
    return f"{wrong}: 1", 1, f"did you mean '{name}'?"


def wrong_type(draw):
    return draw.choice([
        ("worker_threads: many", 17, "expected a whole number"),
        ("worker_threads: [1]", 17, "expected one value"),
        ("in_process: maybe", 13, "expected true or false"),
        ("allowed_hosts: example", 16, "expected a list"),
        ("limits: 3", 9, "expected a map of options"),
        ("log: [a]", 6, "expected a map of options"),
        ("plugins: 3", 10, "expected a map of backends"),
        ("mem_fraction_static: half", 22, "expected a number"),
        ("timeouts: {default: soon}", 21, "expected a time"),
        ("timeouts: {routes: [a]}", 20, "expected a map of routes"),
    ])


def out_of_range(draw):
    return draw.choice([
        ("worker_threads: 0", 17, "from 1 to 64"),
        ("worker_threads: 65", 17, "from 1 to 64"),
        ("mem_fraction_static: 1.5", 22, "from 0 to 1"),
        ("chunked_prefill_size: 99999999", 23, "from 1 to 65536"),
        ("limits: {n: 0}", 13, "from 1 to 128"),
        ("auth: sometimes", 7, "expected one of auto, none, keys"),
        ("metrics: {port: 70000}", 17, "from 0 to 65535"),
        ("timeouts: {health: 25h}", 20, "at most 24h"),
    ])


def huge_number(draw):
    digits = "9" * draw.choice([10, 19, 20, 40, 400])
    return draw.choice([(f"worker_threads: {digits}", 17, "expected a whole number"),
                        (f"worker_threads: -{digits}", 17, "expected a whole number"),
                        (f"worker_threads: 1e{digits}", 17, "expected a whole number"),
                        (f"mem_fraction_static: 1e{digits}", 22, "expected a number"),
                        ("worker_threads: 0x10", 17, "expected a whole number"),
                        ("worker_threads: 010", 17, "expected a whole number"),
                        ("mem_fraction_static: .nan", 22, "expected a number")])


def wrong_nesting(draw):
    return draw.choice([
        ("limits: {n: {n: 1}}", 13, "expected one value"),
        ("limits: {limits: {n: 1}}", 10, "is not an option"),
        ("limits: {port: 1}", 10, "is not an option"),
        ("? [a, b]\n: c", 3, "expected the name of an option"),
        ("plugins: {cpu: 3}", 11, "expected a backend and a map"),
        ("plugins: {cpu: {a: [b]}}", 17, "expected an option and one value"),
        ("cors: {origins: [[a]]}", 18, "expected a text"),
        ("tls: {mode: {a: b}}", 13, "expected one value"),
    ])


def repeated(draw):
    line = draw.choice(GOOD)
    return line, 1, f"'{line.split(':')[0]}' stands here a second time"


SEMANTIC = {"unknown key": unknown_key, "wrong type": wrong_type, "out of range": out_of_range,
            "huge number": huge_number, "wrong nesting": wrong_nesting, "repeated key": repeated}


def semantic(draw, kind):
    """Good lines with one to four wrong ones among them, each of another key."""
    lines, places, words, used = list(GOOD), [], [], set()
    draw.shuffle(lines)
    for _ in range(draw.randint(1, 4)):
        for _ in range(20):
            text, column, word = SEMANTIC[kind](draw)
            key = text.split(":")[0]
            if key not in used and not (key.startswith("?") and used):
                break
        else:
            break
        used.add(key)
        if kind == "repeated key":
            lines.append(text)
            places.append((len(lines), column))
        else:
            lines.append(text)
            places.append((sum(line.count("\n") + 1 for line in lines[:-1]) + 1, column))
        words.append(word)
    ending = draw.choice(["\n", "\n\n", ""])
    return BadFile(kind, ("\n".join(lines) + ending).encode(), places, words)


def indented_by_tab(draw):
    at = draw.randrange(len(GOOD))
    lines = GOOD[:at] + ["log:", "\tlevel: info"] + GOOD[at:]
    return "\n".join(lines).encode(), [(at + 2, 1)], ["a tab indents this line"]


def bad_indentation(draw):
    body = draw.choice(["log:\n    level: info\n  format: json\n", "log:\n  level: info\n format: text\n",
                        "host: a\n  port: 1\n", "served_model_name:\n  - a\n - b\n",
                        "log: {level: info\nport: 1\n"])
    return ("threads: 1\n" * draw.randint(0, 1) + body).encode(), None, ["not YAML"]


def cut(draw):
    whole = ('served_model_name: [one, "two"]\nlog: {level: info, format: text}\n'
             'cors:\n  origins: ["https://a.example"]\n')
    at = draw.choice([i for i in range(20, len(whole)) if whole[:i].count('"') % 2
                      or whole[:i].count("[") > whole[:i].count("]")
                      or whole[:i].count("{") > whole[:i].count("}")])
    return whole[:at].encode(), None, ["not YAML"]


def anchors(draw):
    return draw.choice([
        (b"a: &a [x]\nserved_model_name: [" + b"*a, " * 150 + b"]\n", None, ["more than 100 aliases"]),
        (b"served_model_name: [*nowhere]\n", [(1, 21)], ["not YAML"]),
        (b"threads: &t 2\nthreds: *t\n", [(2, 1)], ["did you mean 'threads'?"]),
        (b"log: &l {level: info}\nlimits:\n  <<: *l\n", [(3, 3)], ["'<<' is not an option"]),
        (b"host: &h\nport: *h\nthreads: &h [1]\n", None, []),
    ])


def deep(draw):
    depth = draw.randint(33, 4000)
    text = draw.choice(["served_model_name: " + "[" * depth, "[" * depth + "]" * depth,
                        "{a: " * depth, "".join("  " * i + "a:\n" for i in range(min(depth, 300))),
                        "- " * depth + "x\n"])
    return text.encode(), None, ["more than 32 levels of nesting"]


def nul(draw):
    at = draw.randrange(len(GOOD))
    lines = [line.encode() for line in GOOD]
    column = draw.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:column] + b"\0" + lines[at][column:]
    return b"\n".join(lines), [(at + 1, column + 1)], ["byte 0x00 is a control character"]


def broken_utf8(draw):
    at = draw.randrange(len(GOOD))
    lines = [line.encode() for line in GOOD]
    bad = draw.choice([b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"])
    column = len(lines[at])
    lines[at] += bad
    return b"\n".join(lines), [(at + 1, column + 1)], ["is not UTF-8"]


def not_a_map(draw):
    return draw.choice([(b"- threads\n", [(1, 1)], ["expected a map of options"]),
                        (b"threads\n", [(1, 1)], ["expected a map of options"]),
                        (b"3\n", [(1, 1)], ["expected a map of options"]),
                        (b"threads: 1\n---\nthreads: 2\n", [(2, 1)], ["more than 1 document"])])


def broken_rule(draw):
    return draw.choice([
        (b"threads: 1\nauth: keys\n", [(2, 1)], ["auth: keys needs an api_key_file"]),
        (b"host: 0.0.0.0\n", [(1, 1), (1, 1)], ["there are no keys", "there is no TLS"]),
        (b"tls:\n  key_file: k.pem\n", [(1, 1)], ["certificate_file and key_file are needed both"]),
        (b"limits:\n  stream_low_bytes: 9000\n  stream_high_bytes: 9000\n", [(1, 1)],
         ["stream_low_bytes must be below"]),
        (b"cors:\n  origins: [nonsense]\n", [(2, 3)], ["expected SCHEME://HOST"]),
    ])


OTHERS = {"tab": indented_by_tab, "indentation": bad_indentation, "cut": cut, "anchor": anchors, "deep": deep,
          "nul": nul, "utf-8": broken_utf8, "no map": not_a_map, "rule": broken_rule}


def files(seed, count):
    draw = random.Random(seed)
    kinds = [*SEMANTIC, *OTHERS]
    for number in range(count):
        kind = kinds[number % len(kinds)]
        if kind in SEMANTIC:
            yield semantic(draw, kind)
        else:
            yield BadFile(kind, *OTHERS[kind](draw))
