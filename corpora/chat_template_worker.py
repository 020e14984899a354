"""The child process that renders one chat template: `python -I chat_template_worker.py < request.json`.

A template comes with model files, so it is somebody's code: it runs in Jinja's immutable sandbox, and a
process of its own bounds what the sandbox does not, time and memory (CVE-2026-115911: an endless template).
The request is {"template", "variables"}; the reply is {"text"} or {"error"} as JSON on standard output.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any, NoReturn

MEMORY_BYTES = 512 << 20
CPU_SECONDS = 5
MAX_CHARACTERS = 1 << 20


def _raise_exception(message: str) -> NoReturn:
    import jinja2

    raise jinja2.TemplateError(message)


def _tojson(value: Any, indent: int | None = None) -> str:
    # Jinja's own filter escapes for HTML, which no model was trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def render(template: str, variables: dict[str, Any]) -> str:
    """The rendered text, as transformers would render it (minus the clock: prompts must repeat exactly)."""
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what is trained on; for rendering it is transparent."""

        tags = {"generation"}  # noqa: RUF012 - Jinja's own way

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    parts: list[str] = []
    size = 0
    for part in environment.from_string(template).generate(variables):
        parts.append(part)
        size += len(part)
        if size > MAX_CHARACTERS:
            raise ValueError(f"the template writes over {MAX_CHARACTERS} characters")
    return "".join(parts)


def main() -> None:
    """Read the request, render it under limits, write the reply."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    request = json.load(sys.stdin)
    try:
        reply = {"text": render(request["template"], request["variables"])}
    except Exception as error:  # whatever a template does wrong is one line for the parent
        reply = {"error": f"{type(error).__name__}: {error}"[:300]}
    sys.stdout.write(json.dumps(reply))


if __name__ == "__main__":
    main()
