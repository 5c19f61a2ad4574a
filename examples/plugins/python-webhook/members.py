"""From rows to JSON."""

import json
import re
from dataclasses import dataclass

from nesting import too_deep
from sluice import Kind, Row
from wit_world.imports.types import Column, Finding, Place_Column, Place_Mapping

KEY = "id"
"""The field by which the receiver tells members apart."""

WORD = re.compile(r"[A-Za-z0-9_-]+\Z")


class Refusal(Exception):
    """A row that cannot be sent. Never says the value."""


@dataclass(slots=True)
class Plan:
    """What the mapping makes of a row."""

    names: list[str]
    """The JSON key of each column."""

    key: int
    """The column that is the key."""

    @classmethod
    def of(cls, columns: list[Column]) -> tuple["Plan", list[Finding]]:
        """Checks the mapping, and finds everything that is wrong with it."""
        names = [column.destination for column in columns]
        found = []
        for index, name in enumerate(names):
            if not WORD.match(name):
                wrong = "expected letters, digits, `_` and `-`"
            elif name in names[:index]:
                wrong = "it is mapped twice; map each field once"
            else:
                continue
            found.append(Finding(Place_Column(index), f"field `{name}`: {wrong}"))
        if KEY not in names:
            missing = f"no source is mapped to `{KEY}`, and the receiver needs it"
            found.append(Finding(Place_Mapping(), missing))
        return cls(names, names.index(KEY) if KEY in names else 0), found

    @property
    def columns(self) -> int:
        return len(self.names)

    def key_of(self, row: Row) -> str:
        """The text that tells the row's member apart."""
        key = row.texts[self.key]
        if not key.strip():
            raise Refusal(f"`{KEY}` is empty")
        return key

    def member(self, row: Row) -> str:
        """The member as a JSON object: what the source did not say is left out, and what it said is
        nothing is `null`."""
        cells = zip(self.names, row.texts, row.kinds)
        pairs = (
            # The receiver compares the key: 7 and "7" would be two members.
            f"{text(name)}:{text(cell) if name == KEY else value(cell, kind)}"
            for name, cell, kind in cells
            if kind != Kind.ABSENT
        )
        return "{" + ",".join(pairs) + "}"


def text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def value(cell: str, kind: int) -> str:
    if kind == Kind.NULL:
        return "null"
    if kind in (Kind.INTEGER, Kind.DECIMAL, Kind.BOOLEAN, Kind.JSON) and is_json(cell):
        # As the source wrote it, however many digits it has: reading it would round it. In valid
        # JSON a line break is white space, and would end the line of the file.
        return cell.replace("\n", " ").replace("\r", " ")
    return text(cell)


def is_json(text: str) -> bool:
    if too_deep(text):
        return False
    try:
        # NaN and its like are Python's alone. Numbers may have more digits than Python reads.
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def refuse(constant: str):
    raise ValueError(constant)
