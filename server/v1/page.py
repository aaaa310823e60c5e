"""The description of the job API as a page: plain HTML made here, with no script and nothing from elsewhere."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
details { border: 1px solid #8884; border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer } code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { overflow-x: auto; background: #8881; padding: .6rem; border-radius: 4px }
table { border-collapse: collapse; width: 100% } td { padding: .2rem .6rem .2rem 0; vertical-align: top }
b.verb { display: inline-block; min-width: 4.5em } h3 { margin: .8rem 0 .2rem }
"""


def page(description: Mapping[str, Any]) -> str:
    """description: an OpenAPI document."""
    info = description["info"]
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>",
            f"<h1>{escape(info['title'])} API</h1><p>{escape(info['description'])}</p>",
            '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
            *(
                _operation(verb, path, each)
                for path, verbs in description["paths"].items()
                for verb, each in verbs.items()
            ),
            "<h2>Types</h2>",
            *(_type(name, schema) for name, schema in description["components"]["schemas"].items()),
        ]
    )


def _operation(verb: str, path: str, each: Mapping[str, Any]) -> str:
    rows = "".join(_parameters(each))
    table = f"<h3>Parameters</h3><table>{rows}</table>" if rows else ""
    body = each.get("requestBody")
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer['description'])}<td>{_content(answer)}"
        for status, answer in each["responses"].items()
    )
    return (
        f'<details id="{escape(each["operationId"])}"><summary><b class="verb">{escape(verb.upper())}</b> '
        f"<code>{escape(path)}</code> {escape(each['summary'])}</summary>"
        f"<p>{escape(each.get('description', ''))}</p>{table}"
        f"{f'<h3>Body</h3>{_content(body)}' if body else ''}<h3>Answers</h3><table>{answers}</table></details>"
    )


def _parameters(each: Mapping[str, Any]) -> Iterator[str]:
    for parameter in each.get("parameters", ()):
        schema = parameter["schema"]
        what = parameter.get("description") or schema.get("description", "")
        name, where = escape(parameter["name"]), escape(parameter["in"])
        yield f"<tr><td><code>{name}</code><td>{where}<td>{_kind(schema)}<td>{escape(what)}"


def _content(of: Mapping[str, Any]) -> str:
    return " ".join(
        f"<code>{escape(media)}</code> {_kind(content['schema'])}" for media, content in of.get("content", {}).items()
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """A type in a few words, with links to named ones."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    for many in ("oneOf", "anyOf"):
        if many in schema:
            return " or ".join(_kind(one) for one in schema[many])
    if "enum" in schema:
        return escape(" | ".join(map(str, schema["enum"])))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(str(schema.get("type", "anything")))


def _type(name: str, schema: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code><td>{_kind(one)}<td>{escape(one.get('description', ''))}"
        for key, one in schema.get("properties", {}).items()
    )
    text = escape(json.dumps(schema, indent=1, ensure_ascii=False))
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code> {escape(schema.get("description", ""))}'
        f"</summary><table>{rows}</table><details><summary>Schema</summary><pre>{text}</pre></details></details>"
    )
