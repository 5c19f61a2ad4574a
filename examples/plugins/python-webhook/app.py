"""A destination that takes JSON: the audience as one file of lines, then changes as they come.

This page is glue: it keeps the settings of the instance, and is the only one that sends requests.
An instance serves one call and is thrown away, so nothing that it keeps here outlives the call.
"""

from contextlib import suppress
from dataclasses import dataclass

import answers
import deliver
import imports
import manifest
from members import Plan
from sluice import Rows, invalid_settings, request
from wit_world import exports
from wit_world.exports.exporter import Delivery, File, ImportStatus, Manifest, Staged
from wit_world.imports import http
from wit_world.imports.types import Batch, Settings


@dataclass
class Session:
    """What `open` has checked. Kept by the module: each call gets an exporter of its own."""

    options: dict
    plan: Plan


session: Session


class Exporter(exports.Exporter):
    """What the contract wants, function by function."""

    def describe(self) -> Manifest:
        return manifest.describe()

    def open(self, settings: Settings) -> None:
        options, wrong = manifest.options(settings.options)
        plan, findings = Plan.of(settings.columns)
        findings = wrong + findings
        if findings:
            raise invalid_settings(findings)
        global session
        session = Session(options, plan)

    def check(self) -> None:
        # Whatever else the receiver thinks of this question: the credential was not refused. And
        # nobody is told more than can be taken who is not let in.
        with suppress(answers.Refused, answers.TooLarge):
            answer = send(request("GET", session.options["check_path"]))
            answers.judge(answer, "check_path")

    def stage(self, rows: Batch, offset: int) -> Staged:
        return imports.stage(Rows(rows, session.plan.columns), session.plan)

    def submit(self, file: File) -> str:
        token = imports.token(send(imports.submission(file, session.options)))
        # A line in the host's log. Never print a member's data.
        print(f"the receiver took file {file.number} with {file.rows} rows")
        return token

    def poll(self, token: str) -> ImportStatus:
        return imports.status(send(imports.question(token, session.options)))

    def deliver(self, rows: Batch) -> Delivery:
        return deliver.deliver(Rows(rows, session.plan.columns), session.plan, session.options, send)


def send(asked: http.Request) -> http.Response:
    """Sends a request. What is raised if there is no answer is the contract's word for it."""
    return answers.answered(lambda: http.send(asked))
