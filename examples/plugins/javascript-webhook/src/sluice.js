/** The contract with iterators instead of offsets. Copy this file into your own plugin. */

/** What a cell is. A code that is not here counts as text. */
export const Kind = {
  ABSENT: 0,
  NULL: 1,
  TEXT: 2,
  INTEGER: 3,
  DECIMAL: 4,
  BOOLEAN: 5,
  TIMESTAMP: 6,
  JSON: 7,
};

/** What happened to a row's member, by the contract's codes. A scanned one is up to date. */
const CHANGES = ["update", "enter", "update", "exit"];

/** Bytes to begin a file's part with, and to measure texts in. */
const ROOM = 1 << 16;

const encoder = new TextEncoder();
const MARK = encoder.encode("\ufeff");
// A byte order mark that a cell begins with is the cell's own: without this it would be dropped, and
// two members would become one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The rows of a flat batch: texts and kinds stand in the order of the mapping. */
export function* rowsOf(batch, columns) {
  const { ends, kinds } = batch;
  let { cells } = batch;
  let bytes = encoder.encode(cells);
  // What carries texts into the engine drops a byte order mark that one begins with, here that of the
  // first cell; offsets still count it.
  if (ends.length > 0 && bytes.length + MARK.length === ends.at(-1)) {
    cells = `\ufeff${cells}`;
    bytes = encoder.encode(cells);
  }
  // Offsets count bytes. In ASCII these are characters, and nothing has to be decoded.
  const ascii = bytes.length === cells.length;
  const text = ascii
    ? (begin, end) => cells.slice(begin, end)
    : (begin, end) => decoder.decode(bytes.subarray(begin, end));
  let begin = 0;
  for (let index = 0; index < batch.rows; index++) {
    const first = index * columns;
    const texts = [];
    for (let cell = first; cell < first + columns; cell++) {
      texts.push(text(begin, ends[cell]));
      begin = ends[cell];
    }
    yield {
      index,
      change: CHANGES[batch.changes[index]] ?? "update",
      texts,
      kinds: kinds.subarray(first, first + columns),
    };
  }
}

/**
 * Makes the answer to `stage`, row by row. Lines become bytes at once: kept as text until the end, a large
 * cell would be in memory many times.
 */
export class Staging {
  #bytes = new Uint8Array(ROOM);
  #length = 0;
  #start;
  #ends = [];
  #rejected = [];
  #identities = "";
  #identityBytes = 0;
  #identityEnds = [];
  #identityRows = [];

  /** A file whose form has a header gets it here, where the offset is 0. */
  constructor(header = "") {
    this.#append(header);
    this.#start = this.#length;
  }

  /** Adds a row's text, and the texts by which the destination knows its member. */
  accept(row, line, ...identities) {
    this.#append(line);
    this.#ends.push(this.#length);
    for (const identity of identities) {
      this.#identities += identity;
      this.#identityBytes += utf8Length(identity);
      this.#identityEnds.push(this.#identityBytes);
      this.#identityRows.push(row.index);
    }
  }

  /** Leaves a row out. The reason names field and rule, and never the value. */
  reject(row, field, reason) {
    this.#ends.push(this.#length);
    this.#rejected.push({ row: row.index, field, reason });
  }

  finish() {
    return {
      bytes: this.#bytes.slice(0, this.#length),
      start: this.#start,
      ends: Uint32Array.from(this.#ends),
      rejected: this.#rejected,
      identities: this.#identities,
      identityEnds: Uint32Array.from(this.#identityEnds),
      identityRows: Uint32Array.from(this.#identityRows),
      extra: [],
    };
  }

  #append(text) {
    for (let rest = text; rest !== ""; ) {
      const { read, written } = encoder.encodeInto(rest, this.#bytes.subarray(this.#length));
      this.#length += written;
      rest = rest.slice(read);
      if (rest !== "") {
        const larger = new Uint8Array(this.#bytes.length * 2);
        larger.set(this.#bytes);
        this.#bytes = larger;
      }
    }
  }
}

const scratch = new Uint8Array(ROOM);

function utf8Length(text) {
  let length = 0;
  for (let rest = text; rest !== ""; ) {
    const { read, written } = encoder.encodeInto(rest, scratch);
    length += written;
    rest = rest.slice(read);
  }
  return length;
}

/** A request without a query. */
export function request(method, path, { headers = [], body = { tag: "none" } } = {}) {
  return { method, path, query: [], headers, body, extra: [] };
}

/** To throw where nothing helps but a person. What is thrown with a tag is an answer; an `Error` is a trap. */
export const fatal = (message) => ({ tag: "fatal", val: message });

/** To throw where it may work later. */
export const transient = (message) => ({ tag: "transient", val: message });

/** To throw where the operator has to change something. */
export const invalidSettings = (findings) => ({ tag: "invalid-settings", val: findings });
