"""Who the plugin is and what it may ask for: the host shows it to the operator, and grants no more."""

import json
import re

from members import KEY
from wit_world.exports.exporter import (
    AuthMethod,
    Credential,
    Field,
    FieldType,
    Limits,
    Manifest,
    Route,
)
from wit_world.imports.types import Finding, Place_Option, Place_Whole


def path(default: str, description: str, pattern: str = "^/") -> dict:
    return {
        "type": "string",
        "pattern": pattern,
        "default": default,
        "description": description,
    }


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "import_path": path("/imports", "Where the file with the whole audience is posted."),
        "job_path": path(
            "/imports/{id}",
            "Where the import is asked about; `{id}` is its id.",
            pattern=r"^/.*\{id\}",
        ),
        "members_path": path("/members", "Where changes are posted."),
        "check_path": path(
            "/check", "What is read, with GET, to see whether the credential is accepted."
        ),
    },
}

DEFAULTS = {name: option["default"] for name, option in SCHEMA["properties"].items()}


def options(text: str) -> tuple[dict, list[Finding]]:
    """The operator's options over the defaults, and everything that is wrong with them. The host has
    checked them against the schema; a program that embeds it may have not."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return DEFAULTS, [Finding(Place_Whole(), "the options are no JSON object")]
    found = []
    for name, value in given.items():
        option = SCHEMA["properties"].get(name)
        if option is None:
            wrong = "there is no such option"
        elif not isinstance(value, str) or not re.search(option["pattern"], value):
            wrong = f"expected a path that fits {option['pattern']}"
        else:
            continue
        found.append(Finding(Place_Option(name), f"option `{name}`: {wrong}"))
    return DEFAULTS | given, found


def describe() -> Manifest:
    """The manifest; the same every time."""
    return Manifest(
        name="python-webhook",
        version="0.1.0",
        description="Sends an audience to any API that takes JSON: one file, then each change",
        # The first is the default. What `{token}` stands for is never seen here: the host fills it in.
        auth_methods=[
            method("bearer", "Bearer token", "token", "Authorization", "Bearer {token}"),
            method("api-key", "API key", "key", "X-Api-Key", "{key}"),
        ],
        endpoint="https://api.example.com/v1",
        # A path that is an option widens what the plugin may do, so it is the operator who says it.
        routes=[
            Route("POST", "{option:import_path}", "start the import of the audience"),
            Route("GET", "{option:job_path}", "ask whether the import is done"),
            Route("POST", "{option:members_path}", "send changes"),
            Route("GET", "{option:check_path}", "see whether the credential is accepted"),
        ],
        fields=[
            Field(
                name=KEY,
                type=FieldType.TEXT,
                format="",
                required=True,
                composable=False,
                description="By what the receiver tells members apart",
            )
        ],
        # Whatever else is mapped becomes a key of the member's JSON.
        custom_fields="<name>",
        options_schema=json.dumps(SCHEMA),
        limits=Limits(
            file_bytes=256 << 20,
            file_rows=1_000_000,
            stage_rows=1_000,
            # Rows of one request, and the most that is lost by one that fails.
            deliver_rows=100,
        ),
        extra=[],
    )


def method(id: str, label: str, secret: str, header: str, template: str) -> AuthMethod:
    """A way to authorize with one secret in one header."""
    credential = Credential(secret, label, "From whoever runs the API")
    return AuthMethod(id, label, [credential], [(header, template)])
