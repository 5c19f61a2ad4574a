/** Live delivery: one request for a whole batch, and halves of it where the receiver refuses it. */

import { items, judge, Refused } from "./answers.js";
import { KEY, Refusal } from "./members.js";
import { request } from "./sluice.js";

const encoder = new TextEncoder();

/** Sends a batch. In order: a later change of a member never goes out before an earlier one. */
export function deliver(rows, plan, options, send) {
  const delivery = { rejected: [], retry: [], why: undefined, extra: [] };
  const good = [];
  for (const row of rows) {
    try {
      plan.keyOf(row);
      good.push(row);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      delivery.rejected.push({ row: row.index, field: KEY, reason: error.message });
    }
  }
  // What is still to be sent, the next one last.
  const ahead = good.length > 0 ? [good] : [];
  while (ahead.length > 0) {
    const some = ahead.pop();
    if (delivery.why !== undefined) {
      delivery.retry.push(...some.map((row) => row.index));
      continue;
    }
    try {
      const found = judge(send(changes(some, plan, options)), "members_path");
      const indices = new Set(items(found, "rejected", "index").filter((n) => n < some.length));
      for (const index of [...indices].sort((a, b) => a - b)) {
        const reason = "the receiver rejected it";
        delivery.rejected.push({ row: some[index].index, field: undefined, reason });
      }
    } catch (error) {
      if (error instanceof Refused && some.length === 1) {
        const [{ index: row }] = some;
        delivery.rejected.push({ row, field: undefined, reason: error.message });
      } else if (error instanceof Refused) {
        // One of them is at fault, and the others are not: look for it.
        const middle = some.length >> 1;
        ahead.push(some.slice(middle), some.slice(0, middle));
      } else if (error.tag !== undefined) {
        // From here on everything has to wait.
        delivery.why = error;
        delivery.retry.push(...some.map((row) => row.index));
      } else {
        throw error;
      }
    }
  }
  return delivery;
}

/** An array of changes. */
function changes(rows, plan, options) {
  const all = rows.map((row) => `{"change":"${row.change}","member":${plan.member(row)}}`);
  return request("POST", options.members_path, {
    headers: [["content-type", "application/json"]],
    body: { tag: "bytes", val: encoder.encode(`[${all.join(",")}]`) },
  });
}
