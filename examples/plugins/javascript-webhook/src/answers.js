/**
 * How answers are judged: one table for every request.
 *
 * Nothing that the receiver says is passed on but numbers: it may quote a member.
 */

import { fatal, invalidSettings, transient } from "./sluice.js";

const decoder = new TextDecoder();

/** What was sent cannot be taken as it is. */
export class Refused extends Error {
  constructor(status) {
    super(`the receiver answered ${status}`);
  }
}

/** Asks, and throws the contract's word for it if there is no answer. */
export function answered(ask) {
  try {
    return ask();
  } catch (error) {
    const { tag, val } = error.payload ?? error;
    switch (tag) {
      case "denied":
        throw fatal(`the host denied the request: ${val}`);
      case "unreachable":
        throw transient(`no connection: ${val}`);
      case "too-large":
        // It has acted, and nobody can read how: again, it would act and answer so for ever.
        throw {
          ...fatal(`the receiver answers more than can be taken: ${val}; let it answer less`),
          tooLarge: true,
        };
      // Text of the others may have come over the wire.
      case "interrupted":
        throw transient("the connection ended early");
      case "other":
        throw transient("no answer");
      default:
        throw error;
    }
  }
}

/**
 * What a good answer says, to a request whose path is the option `path`. Throws what follows from any
 * other.
 */
export function judge(answer, path) {
  const { status } = answer;
  const said = `the receiver answered ${status}`;
  if (status >= 200 && status < 300) return body(answer);
  if (status === 401 || status === 403) throw { tag: "unauthorized", val: said };
  const patience = retryAfterMs(answer);
  // A server that is busy may ask for patience, too.
  if (status === 429 || (status === 503 && patience !== undefined)) {
    throw { tag: "throttled", val: { message: said, retryAfterMs: patience } };
  }
  if (status === 404 || status === 405 || status === 410) {
    const message = `${said}: it does not take this at option \`${path}\``;
    throw invalidSettings([{ place: { tag: "option", val: path }, message }]);
  }
  if (status >= 300 && status < 400) {
    const message = `${said}: it redirects, which is not followed; set its new endpoint`;
    throw invalidSettings([{ place: { tag: "whole" }, message }]);
  }
  // Only these may be a single row's fault; any other would set every row apart.
  if ([400, 409, 413, 422].includes(status)) throw new Refused(status);
  if (status >= 400 && status < 500 && status !== 408 && status !== 425) {
    throw fatal(`${said}, which is no row's fault`);
  }
  // A server error, or nothing that HTTP knows: it may pass.
  throw transient(said);
}

function body(answer) {
  try {
    const found = JSON.parse(decoder.decode(answer.body));
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

/** `Retry-After` in seconds; a date is passed over. */
function retryAfterMs(answer) {
  const header = answer.headers.find(([name]) => name === "retry-after");
  const seconds = header?.[1].trim() ?? "";
  return /^[0-9]+$/.test(seconds) ? Math.min(Number(seconds) * 1_000, 2 ** 32 - 1) : undefined;
}

/** The numbers at `key` of the objects in the array `name`. */
export function items(found, name, key) {
  const rows = Array.isArray(found[name]) ? found[name] : [];
  return rows.map((row) => count(row?.[key])).filter((number) => number !== undefined);
}

/** A number that every guest language can hold. */
export function count(value) {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
