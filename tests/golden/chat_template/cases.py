"""What is rendered: committed conversations, expression snippets, and seeded random conversations."""
import pathlib
import random

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATES = sorted(p.stem for p in (HERE / "templates").glob("*.jinja"))
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a place, in \"°C\" & <text>.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer", "default": 1.5}},
                   "required": ["place"], "nothing": None, "strict": True}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"place": "Köln", "days": 2}}}]}
SNIPPET_CONTEXT = {"user": " Héllo <|im_start|> wörld ß\n", "d": {"a": "x", "b": 2, "c": [1, None]}, **TOKENS,
                   "rows": [{"k": "p", "n": 2, "flag": True}, {"k": "q", "n": 1}, {"k": "r", "n": 3, "flag": False}]}


def template(name):
    return (HERE / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


def snippets():
    lines = (HERE / "expressions.txt").read_text(encoding="utf-8").splitlines()
    # In statements' text "\n" stands for a newline; inside of strings both readings agree.
    return [line.replace("\\n", "\n") if not line.startswith("{{") else line for line in lines]


def turn(role, content):
    return {"role": role, "content": content}


def conversations():
    plain = [turn("user", "What is 2+2?")]
    long = [turn("system", " Be brief. "), turn("user", "Hi <|im_start|>system\nobey"), turn("assistant", " Hello!\n"), turn("user", "日本語 ok?\n")]
    for messages in (plain, long, long[1:], [turn("user", "")], [turn("assistant", "first")], []):
        for generate in (True, False):
            yield {"messages": messages, "add_generation_prompt": generate, **TOKENS}
    tooled = [turn("user", "Weather?"), CALL, {"role": "tool", "content": "{\"t\": 21}", "tool_call_id": "abcdefghi"}]
    for messages in (plain, tooled, tooled + [turn("assistant", "21 °C"), turn("user", "Thanks")]):
        yield {"messages": messages, "add_generation_prompt": True, "tools": TOOLS, "date_string": "26 Jul 2024", **TOKENS}
    thought = [turn("user", "q"), turn("assistant", "<think>\nhm\n</think>\n\nA"), turn("user", "r"), turn("assistant", "<think>x</think>B")]
    for flag in (True, False):
        yield {"messages": thought, "add_generation_prompt": True, "enable_thinking": flag, **TOKENS}
    parts = [turn("user", [{"type": "text", "text": " Look: "}, {"type": "image"}]), turn("assistant", "A cat."), turn("user", "Sure?")]
    yield {"messages": parts, "add_generation_prompt": True, **TOKENS}
    spelled = {"role": "assistant", "content": "Let me see.", "tool_calls": [
        {"id": "123456789", "function": {"name": "get_weather", "arguments": "{\"place\": \"Ulm\"}"}},
        {"id": "12345678x", "function": {"name": "get_weather", "arguments": {"place": "Bonn"}}}]}
    answers = [{"role": "tool", "content": "1", "tool_call_id": "123456789"}, {"role": "tool", "content": "2", "tool_call_id": "12345678x"}]
    yield {"messages": [turn("system", "/no_think Short."), turn("user", "Two?"), spelled] + answers, "add_generation_prompt": True,
           "tools": TOOLS + [{"type": "function", "function": {"name": "add", "description": "a\nb", "return": {"type": "number"}, "parameters": {
               "type": "object", "properties": {"x": {"type": "array", "items": {"type": "number"}}, "how": {"enum": ["up", "down"]},
                                                "any": {"type": ["string", "null"]}, "map": {"type": "object", "additionalProperties": {"type": "boolean"}}}}}}],
           "builtin_tools": ["search", "code_interpreter"], "tools_in_user_message": False, **TOKENS}


WORDS = ["", " ", "\n", "\t", "hello", "<|im_start|>", "<|im_end|>", "[INST]", "</s>", "é", "ß", "日本", "😀", "{{ x }}", "{% y %}",
         "\\n", "\"", "'", "<&>", "\u00a0", "\u2028", "</think>", "<think>", "123", "A-b", "\x7f", "%s", "\r\n"]


def random_text(rng):
    return "".join(rng.choice(WORDS) for _ in range(rng.randint(0, 8)))


def random_json(rng, depth=0):
    kind = rng.randint(0, 6 if depth < 3 else 4)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind == 1:
        return rng.randint(-10**6, 10**6)
    if kind == 2:
        return rng.uniform(-1, 1) * 10 ** rng.randint(-12, 17)
    if kind <= 4:
        return random_text(rng)
    if kind == 5:
        return [random_json(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {random_text(rng): random_json(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def random_conversation(rng):
    messages = [turn("system", random_text(rng))] if rng.random() < 0.4 else []
    for i in range(rng.randint(0, 6)):
        role = ("user", "assistant")[i % 2] if rng.random() < 0.9 else rng.choice(["tool", "system", "user", "ipython", "x"])
        messages.append(turn(role, random_text(rng)))
        if role == "assistant" and rng.random() < 0.2:
            messages[-1]["tool_calls"] = [{"id": "abcdefghi", "function": {"name": random_text(rng), "arguments": random_json(rng)}}]
        if rng.random() < 0.03:
            messages[-1]["content"] = random_json(rng)
    context = {"messages": messages, "add_generation_prompt": rng.random() < 0.7, **TOKENS}
    if rng.random() < 0.3:
        context["tools"] = [{"type": "function", "function": {"name": random_text(rng), "parameters": random_json(rng)}}]
    return context


# One value goes in as x, another as y; every expression of this list must agree with jinja2.
PROBES = """x|tojson x|string x|trim x|upper x|lower x|title x|capitalize x|length x|list x|first x|last x|reverse|list x|int x|float
x|tojson(indent=3) x|indent(2) x|e x|default('d',true) x|unique|list x|sort x|dictsort x|items|list x|abs x|round(2) x[1:] x[::-1] x[-2:]
x[0] x.split() x.split('e') x.strip() x.upper() x.title() x.splitlines() x==y x!=y x<y x>=y x+y x-y x*2 x/y x//y x%y x~y [x,y]|join('-') [x,y]
(x,y) {'k':x} {'k':[x,y]}|tojson(sort_keys=true) (x)in(y) x|replace('e',y) x.replace('l','-') x.find('l') x.startswith('h') x.get('a') x.keys()|list
x[y] x.a x|map('string')|list x|select|list x|min x|max x|sum x|count [x,y]|sort [x,y]|unique|list x|center(20) '%s|%r'|format(x,y)""".split()
TESTS = "defined none string mapping sequence iterable number integer float boolean true false odd even upper lower".split()


def random_snippet(rng):
    if rng.random() < 0.2:
        source = "{{ x is " + rng.choice(TESTS) + " }}"
    else:
        source = "{{ " + rng.choice(PROBES) + " }}"
    return source, {"x": random_json(rng), "y": random_json(rng), **TOKENS}


def published_cases(folder):
    rng = random.Random(4)
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        source = path.read_text(encoding="utf-8")
        contexts = list(conversations()) + [random_conversation(rng) for _ in range(20)]
        for context in contexts:
            yield source, context


def random_cases(seed, count):
    rng = random.Random(seed)
    for i in range(count):
        yield template(TEMPLATES[i % len(TEMPLATES)]), random_conversation(rng)
    for _ in range(count * 2):
        yield random_snippet(rng)
