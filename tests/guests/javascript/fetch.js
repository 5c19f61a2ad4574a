/**
 * Asks by `fetch`, which is `wasi:http` in here. Each row's first cell says what for, split by `|`: method,
 * URL, how many bytes of body, and how many times at once. What came of it is the row's reason.
 */

const decoder = new TextDecoder();

export const exporter = {
  describe: () => ({
    name: "fetch",
    version: "0.1.0",
    description: "Asks by fetch",
    authMethods: [
      {
        id: "bearer",
        label: "Token",
        credentials: [{ id: "token", label: "Token", description: "" }],
        headers: [["Authorization", "Bearer {token}"]],
      },
    ],
    endpoint: "https://api.example.com/v1",
    routes: [
      { method: "GET", path: "/members", purpose: "read" },
      { method: "POST", path: "/members", purpose: "write" },
    ],
    fields: [],
    customFields: "<name>",
    optionsSchema: "{}",
    limits: { fileBytes: 0n, fileRows: 0n, stageRows: 8, deliverRows: 8 },
    extra: [],
  }),

  open() {},
  check() {},
  stage: () => {
    throw { tag: "fatal", val: "there is no backfill" };
  },
  submit: () => "1",
  poll: () => ({ tag: "failed", val: { message: "", rows: [], extra: [] } }),

  async deliver(batch) {
    const bytes = new TextEncoder().encode(batch.cells);
    const columns = batch.ends.length / batch.rows;
    const rejected = [];
    for (let row = 0; row < batch.rows; row++) {
      const begin = row === 0 ? 0 : batch.ends[row * columns - 1];
      const what = decoder.decode(bytes.subarray(begin, batch.ends[row * columns]));
      rejected.push({ row, field: undefined, reason: await outcome(what) });
    }
    return { rejected, retry: [], why: undefined, extra: [] };
  },
};

async function outcome(what) {
  const [method, url, size, times] = what.split("|");
  const body = Number(size) > 0 ? "[" + " ".repeat(Number(size) - 2) + "]" : undefined;
  const ask = async () => {
    const answer = await fetch(url, { method, body });
    return `answered ${answer.status}: ${await answer.text()}`;
  };
  try {
    const answers = await Promise.all(Array.from({ length: Number(times) }, ask));
    return `${answers.length} times, ${[...new Set(answers)]}`;
  } catch (error) {
    return `no answer: ${error.name}`;
  }
}
