"""The backfill: lines of the staged file, the request that starts the import, and what became of it."""

import json
import re

from answers import Refused, count, items, judge
from members import KEY, Plan, Refusal
from sluice import Rows, Staging, fatal, request
from wit_world.exports.exporter import (
    File,
    ImportStatus,
    ImportStatus_Failed,
    ImportStatus_Pending,
    ImportStatus_Succeeded,
    Progress,
    RefusedRow,
    Report,
    Staged,
)
from wit_world.imports import http

JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
"""An id that can stand as one segment of a path."""


def stage(rows: Rows, plan: Plan) -> Staged:
    """One line of JSON for each row. There is no header, so the offset does not matter."""
    staging = Staging()
    for row in rows:
        try:
            key = plan.key_of(row)
        except Refusal as refusal:
            staging.reject(row, KEY, str(refusal))
            continue
        # Of rows with the same identity the host keeps the newest.
        staging.accept(row, (plan.member(row) + "\n").encode(), f"{KEY}:{key}")
    return staging.finish()


def submission(file: File, options: dict) -> http.Request:
    """The request that hands the file over. The host streams it from the disk."""
    part = http.Part(
        name="file",
        file_name=f"members-{file.id}.ndjson",
        content_type="application/x-ndjson",
        content=http.Content_Staged(file.id),
    )
    return request("POST", options["import_path"], body=http.Body_Multipart([part]))


def token(answer: http.Response) -> str:
    """The token by which a later version of this plugin, too, finds the import again."""
    try:
        job = job_id(judge(answer, "import_path").get("id"))
    except Refused as refused:
        raise fatal(f"the receiver refused the file: {refused.reason}") from None
    if job is None:
        raise fatal("the receiver took the file, and its answer has no usable `id`")
    return json.dumps({"v": 1, "id": job}, separators=(",", ":"))


def job_id(value) -> str | None:
    number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value) if number or isinstance(value, str) else ""
    return text if JOB_ID.match(text) else None


def question(token: str, options: dict) -> http.Request:
    """The request that asks for the import of a token."""
    try:
        found = json.loads(token)
    except ValueError:
        found = None
    job = job_id(found.get("id")) if isinstance(found, dict) and found.get("v") == 1 else None
    if job is None:
        raise fatal("the job token is of another plugin, or of a newer version of this one")
    return request("GET", options["job_path"].replace("{id}", job))


def status(answer: http.Response) -> ImportStatus:
    """What became of the import. A state that is not known is one that is not done, and an import that
    the receiver does not know has failed: whoever looks into it has the file sent again."""
    if answer.status in (404, 410):
        lost = f"the receiver answered {answer.status}: it does not know the import any more"
        return ImportStatus_Failed(report({}, lost))
    try:
        found = judge(answer, "job_path")
    except Refused as refused:
        problem = f"the receiver does not say what became of the import: {refused.reason}"
        raise fatal(problem) from None
    match found.get("status"):
        case "succeeded":
            return ImportStatus_Succeeded(report(found, ""))
        case "failed":
            return ImportStatus_Failed(report(found, "the receiver says that it failed"))
        case _:
            done, total = count(found.get("done")), count(found.get("total"))
            return ImportStatus_Pending(Progress("", done, total))


def report(found: dict, message: str) -> Report:
    refused = "the receiver refused it"
    rows = [RefusedRow(row, refused) for row in items(found, "rejected", "row")]
    return Report(message, count(found.get("accepted")), count(found.get("refused")), rows, [])
