"""jinja2 set up the way transformers renders chat templates: the oracle of core/chat_template."""
import datetime
import functools
import json

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2024, 7, 26, 13, 5, 9)


class Generation(jinja2.ext.Extension):
    """{% generation %}: prints its body, in a scope of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: NOW.strftime(form)
    return env


ENVIRONMENT = environment()


@functools.lru_cache(maxsize=128)
def compiled(source):
    return ENVIRONMENT.from_string(source)


def render(source, context):
    """{"text": ...}, or {"error": ...} where jinja2 refuses."""
    try:
        return {"text": compiled(source).render(tools=context.get("tools"), documents=None,
                                                               **{k: v for k, v in context.items() if k != "tools"})}
    except Exception as e:  # whatever jinja2 or a builtin raises is a refusal
        return {"error": f"{type(e).__name__}: {e}"[:200]}


def case(source, context, **more):
    """One line; "template" in `more` names the file that holds the source, which is then left out."""
    given = {} if "template" in more else {"source": source}
    return json.dumps({**more, **given, "context": context, **render(source, context)}, ensure_ascii=False)
