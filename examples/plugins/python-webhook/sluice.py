"""The contract with iterators instead of offsets. Copy this file into your own plugin."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from componentize_py_types import Err
from wit_world.exports.exporter import Staged
from wit_world.imports import http
from wit_world.imports.types import (
    Batch,
    Finding,
    Problem_Fatal,
    Problem_InvalidSettings,
    Rejection,
)


class Kind(IntEnum):
    """What a cell is. A code that is not here counts as text."""

    ABSENT = 0
    NULL = 1
    TEXT = 2
    INTEGER = 3
    DECIMAL = 4
    BOOLEAN = 5
    TIMESTAMP = 6
    JSON = 7


CHANGES = ("update", "enter", "update", "exit")
"""What happened to a row's member, by the contract's codes. A scanned one is up to date."""


@dataclass(slots=True)
class Row:
    """One row of a batch: texts and kinds stand in the order of the mapping."""

    index: int
    change: str
    texts: list[str]
    kinds: bytes


class Rows:
    """The rows of a flat batch."""

    def __init__(self, batch: Batch, columns: int):
        self.batch = batch
        self.columns = columns

    def __len__(self) -> int:
        return self.batch.rows

    def __iter__(self) -> Iterator[Row]:
        batch, columns = self.batch, self.columns
        # Offsets count bytes. In ASCII these are characters, and nothing has to be decoded.
        ascii = batch.cells.isascii()
        cells = batch.cells if ascii else batch.cells.encode()
        begin = 0
        for index in range(batch.rows):
            first = index * columns
            texts = []
            for end in batch.ends[first : first + columns]:
                text = cells[begin:end]
                texts.append(text if ascii else text.decode())
                begin = end
            kinds = batch.kinds[first : first + columns]
            code = batch.changes[index]
            change = CHANGES[code] if code < len(CHANGES) else "update"
            yield Row(index, change, texts, kinds)


class Staging:
    """Makes the answer to `stage`, row by row."""

    def __init__(self, header: bytes = b""):
        self.bytes = bytearray(header)
        self.start = len(header)
        self.ends: list[int] = []
        self.rejected: list[Rejection] = []
        self.identities = ""
        self.identity_bytes = 0
        self.identity_ends: list[int] = []
        self.identity_rows: list[int] = []

    def accept(self, row: Row, line: bytes, *identities: str) -> None:
        """Adds a row's bytes, and the texts by which the destination knows its member."""
        self.bytes += line
        self.ends.append(len(self.bytes))
        for identity in identities:
            self.identities += identity
            self.identity_bytes += len(identity.encode())
            self.identity_ends.append(self.identity_bytes)
            self.identity_rows.append(row.index)

    def reject(self, row: Row, field: str | None, reason: str) -> None:
        """Leaves a row out. The reason names field and rule, and never the value."""
        self.ends.append(len(self.bytes))
        self.rejected.append(Rejection(row.index, field, reason))

    def finish(self) -> Staged:
        return Staged(
            bytes(self.bytes),
            self.start,
            self.ends,
            self.rejected,
            self.identities,
            self.identity_ends,
            self.identity_rows,
            [],
        )


def request(method: str, path: str, headers=(), body=None) -> http.Request:
    """A request without a query."""
    return http.Request(method, path, [], list(headers), body or http.Body_None_(), [])


def fatal(message: str) -> Err:
    """To raise where nothing helps but a person."""
    return Err(Problem_Fatal(message))


def invalid_settings(findings: list[Finding]) -> Err:
    """To raise where the operator has to change something."""
    return Err(Problem_InvalidSettings(findings))
