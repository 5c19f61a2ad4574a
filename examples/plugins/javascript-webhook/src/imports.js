/** The backfill: lines of the staged file, the request that starts the import, and what became of it. */

import { count, items, judge, Refused } from "./answers.js";
import { KEY, Refusal } from "./members.js";
import { fatal, request, Staging } from "./sluice.js";

/** An id that can stand as one segment of a path. */
const JOB_ID = /^[A-Za-z0-9_-]{1,128}$/;

/** One line of JSON for each row. There is no header, so the offset does not matter. */
export function stage(rows, plan) {
  const staging = new Staging();
  for (const row of rows) {
    try {
      // Of rows with the same identity the host keeps the newest.
      const identity = `${KEY}:${plan.keyOf(row)}`;
      staging.accept(row, `${plan.member(row)}\n`, identity);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      staging.reject(row, KEY, error.message);
    }
  }
  return staging.finish();
}

/** The request that hands the file over. The host streams it from the disk. */
export function submission(file, options) {
  const part = {
    name: "file",
    fileName: `members-${file.id}.ndjson`,
    contentType: "application/x-ndjson",
    content: { tag: "staged", val: file.id },
  };
  return request("POST", options.import_path, { body: { tag: "multipart", val: [part] } });
}

/** The token by which a later version of this plugin, too, finds the import again. */
export function token(answer) {
  const found = asked(answer, "import_path", (why) => `the receiver refused the file: ${why}`);
  const id = jobId(found.id);
  if (id === undefined) {
    throw fatal("the receiver took the file, and its answer has no usable `id`");
  }
  return JSON.stringify({ v: 1, id });
}

function jobId(value) {
  const text = typeof value === "string" || Number.isSafeInteger(value) ? String(value) : "";
  return JOB_ID.test(text) ? text : undefined;
}

/** The request that asks for the import of a token. */
export function question(token, options) {
  let found;
  try {
    found = JSON.parse(token);
  } catch {
    found = undefined;
  }
  const id = found?.v === 1 ? jobId(found.id) : undefined;
  if (id === undefined) {
    throw fatal("the job token is of another plugin, or of a newer version of this one");
  }
  return request("GET", options.job_path.replace("{id}", id));
}

/**
 * What became of the import. A state that is not known is one that is not done, and an import that the
 * receiver does not know has failed: whoever looks into it has the file sent again.
 */
export function status(answer) {
  if (answer.status === 404 || answer.status === 410) {
    const lost = `the receiver answered ${answer.status}: it does not know the import any more`;
    return { tag: "failed", val: report({}, lost) };
  }
  const refused = (why) => `the receiver does not say what became of the import: ${why}`;
  const found = asked(answer, "job_path", refused);
  switch (found.status) {
    case "succeeded":
      return { tag: "succeeded", val: report(found, "") };
    case "failed":
      return { tag: "failed", val: report(found, "the receiver says that it failed") };
    default: {
      const [done, total] = [number(found.done), number(found.total)];
      return { tag: "pending", val: { message: "", done, total } };
    }
  }
}

/** A good answer's body. One that refuses what was asked cannot be helped here. */
function asked(answer, path, message) {
  try {
    return judge(answer, path);
  } catch (error) {
    throw error instanceof Refused ? fatal(message(error.message)) : error;
  }
}

function report(found, message) {
  return {
    message,
    accepted: number(found.accepted),
    refused: number(found.refused),
    rows: items(found, "rejected", "row").map((row) => ({
      row: BigInt(row),
      reason: "the receiver refused it",
    })),
    extra: [],
  };
}

/** A `u64` of the contract. */
function number(value) {
  const found = count(value);
  return found === undefined ? undefined : BigInt(found);
}
