/** From rows to JSON. */

import { Kind } from "./sluice.js";

/** The field by which the receiver tells members apart. */
export const KEY = "id";

const WORD = /^[A-Za-z0-9_-]+$/;

/** Characters of a text that are made JSON of at once. */
const PIECE = 1 << 16;

/** A row that cannot be sent. Never says the value. */
export class Refusal extends Error {}

/** What the mapping makes of a row. */
export class Plan {
  #names;
  #key;

  constructor(names) {
    this.#names = names;
    this.#key = names.indexOf(KEY);
  }

  /** Checks the mapping, and finds everything that is wrong with it. */
  static of(columns) {
    const names = columns.map((column) => column.destination);
    const findings = [];
    names.forEach((name, index) => {
      let wrong;
      if (!WORD.test(name)) wrong = "expected letters, digits, `_` and `-`";
      else if (names.indexOf(name) < index) wrong = "it is mapped twice; map each field once";
      else return;
      const place = { tag: "column", val: index };
      findings.push({ place, message: `field \`${name}\`: ${wrong}` });
    });
    if (!names.includes(KEY)) {
      const message = `no source is mapped to \`${KEY}\`, and the receiver needs it`;
      findings.push({ place: { tag: "mapping" }, message });
    }
    return [new Plan(names), findings];
  }

  get columns() {
    return this.#names.length;
  }

  /** The text that tells the row's member apart. */
  keyOf(row) {
    const key = row.texts[this.#key];
    if (key.trim() === "") throw new Refusal(`\`${KEY}\` is empty`);
    return key;
  }

  /**
   * The member as a JSON object: what the source did not say is left out, and what it said is nothing
   * is `null`.
   */
  member(row) {
    const pairs = [];
    this.#names.forEach((name, column) => {
      const kind = row.kinds[column];
      if (kind === Kind.ABSENT) return;
      const cell = row.texts[column];
      // The receiver compares the key: 7 and "7" would be two members.
      const value = name === KEY ? quoted(cell) : json(cell, kind);
      pairs.push(`${JSON.stringify(name)}:${value}`);
    });
    return `{${pairs.join(",")}}`;
  }
}

function json(cell, kind) {
  switch (kind) {
    case Kind.NULL:
      return "null";
    case Kind.INTEGER:
    case Kind.DECIMAL:
    case Kind.BOOLEAN:
    case Kind.JSON:
      // As the source wrote it, however many digits it has: reading it would round it. In valid JSON
      // a line break is white space, and would end the line of the file.
      return isJson(cell) ? cell.replace(/[\n\r]/g, " ") : quoted(cell);
    default:
      return quoted(cell);
  }
}

/**
 * A text as JSON. In pieces, since the engine sets aside far more than a large one needs: for a megabyte
 * more than the host grants.
 */
function quoted(text) {
  const pieces = [];
  for (let begin = 0; begin < text.length; ) {
    let end = Math.min(begin + PIECE, text.length);
    // Two halves of a sign stay together.
    if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end -= 1;
    pieces.push(JSON.stringify(text.slice(begin, end)).slice(1, -1));
    begin = end;
  }
  return `"${pieces.join("")}"`;
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
