"""How answers are judged: one table for every request.

Nothing that the receiver says is passed on but numbers: it may quote a member.
"""

import json
from collections.abc import Callable

from componentize_py_types import Err
from nesting import too_deep
from sluice import fatal, invalid_settings
from wit_world.imports import http
from wit_world.imports.types import (
    Finding,
    Place_Option,
    Place_Whole,
    Problem_Fatal,
    Problem_Throttled,
    Problem_Transient,
    Problem_Unauthorized,
    Throttle,
)


class Refused(Exception):
    """What was sent cannot be taken as it is."""

    def __init__(self, status: int):
        self.reason = f"the receiver answered {status}"


class TooLarge(Err):
    """The receiver has acted, and said more about it than the host takes."""

    def __init__(self, why: str):
        said = f"the receiver answers more than can be taken: {why}; let it answer less"
        super().__init__(Problem_Fatal(said))


def answered(ask: Callable[[], http.Response]) -> http.Response:
    """Asks, and raises the contract's word for it if there is no answer."""
    try:
        return ask()
    except Err as error:
        match error.value:
            case http.Failure_Denied(why):
                raise fatal(f"the host denied the request: {why}") from None
            case http.Failure_Unreachable(why):
                raise transient(f"no connection: {why}") from None
            case http.Failure_TooLarge(why):
                # It has acted, and nobody can read how: again, it would act and answer so for ever.
                raise TooLarge(why) from None
            # Text of the others may have come over the wire.
            case http.Failure_Interrupted(_):
                raise transient("the connection ended early") from None
            case _:
                raise transient("no answer") from None


def judge(answer: http.Response, path: str) -> dict:
    """What a good answer says, to a request whose path is the option `path`. Raises what follows from
    any other."""
    status = answer.status
    said = f"the receiver answered {status}"
    if 200 <= status < 300:
        return body(answer)
    if status in (401, 403):
        raise Err(Problem_Unauthorized(said))
    patience = retry_after_ms(answer)
    # A server that is busy may ask for patience, too.
    if status == 429 or (status == 503 and patience is not None):
        raise Err(Problem_Throttled(Throttle(said, patience)))
    if status in (404, 405, 410):
        message = f"{said}: it does not take this at option `{path}`"
        raise invalid_settings([Finding(Place_Option(path), message)])
    if 300 <= status < 400:
        message = f"{said}: it redirects, which is not followed; set its new endpoint"
        raise invalid_settings([Finding(Place_Whole(), message)])
    # Only these may be a single row's fault; any other would set every row apart.
    if status in (400, 409, 413, 422):
        raise Refused(status)
    if 400 <= status < 500 and status not in (408, 425):
        raise fatal(f"{said}, which is no row's fault")
    # A server error, or nothing that HTTP knows: it may pass.
    raise transient(said)


def transient(message: str) -> Err:
    return Err(Problem_Transient(message))


def body(answer: http.Response) -> dict:
    try:
        text = answer.body.decode()
        found = {} if too_deep(text) else json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def retry_after_ms(answer: http.Response) -> int | None:
    """`Retry-After` in seconds; a date is passed over."""
    for name, value in answer.headers:
        if name == "retry-after" and value.strip().isascii() and value.strip().isdigit():
            return min(int(value.strip()[:9]) * 1_000, 2**32 - 1)
    return None


def items(found: dict, name: str, key: str) -> list[int]:
    """The numbers at `key` of the objects in the array `name`."""
    array = found.get(name)
    rows = array if isinstance(array, list) else []
    numbers = (count(row.get(key)) for row in rows if isinstance(row, dict))
    return [number for number in numbers if number is not None]


def count(value) -> int | None:
    """A number that every guest language can hold."""
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return value if fits else None
