/**
 * A destination that takes JSON: the audience as one file of lines, then changes as they come.
 *
 * This page is glue: it keeps the settings of the instance, and is the only one that sends requests.
 * An instance serves one call and is thrown away, so nothing that it keeps here outlives the call.
 */

import { send as sendOne } from "sluice:sink/http@0.1.0";

import { answered, judge, Refused } from "./answers.js";
import * as delivery from "./deliver.js";
import * as imports from "./imports.js";
import * as manifest from "./manifest.js";
import { Plan } from "./members.js";
import { invalidSettings, request, rowsOf } from "./sluice.js";

let options;
let plan;

/** Sends a request. What is thrown if there is no answer is the contract's word for it. */
const send = (asked) => answered(() => sendOne(asked));

/** What the contract wants, function by function. */
export const exporter = {
  describe: () => manifest.describe(),

  open(settings) {
    const [given, wrong] = manifest.options(settings.options);
    const [checked, findings] = Plan.of(settings.columns);
    const all = [...wrong, ...findings];
    if (all.length > 0) throw invalidSettings(all);
    options = given;
    plan = checked;
  },

  check() {
    try {
      judge(send(request("GET", options.check_path)), "check_path");
    } catch (error) {
      // Whatever else the receiver thinks of this question: the credential was not refused. And nobody
      // is told more than can be taken who is not let in.
      if (!(error instanceof Refused || error.tooLarge)) throw error;
    }
  },

  stage: (batch, _offset) => imports.stage(rowsOf(batch, plan.columns), plan),

  submit(file) {
    const token = imports.token(send(imports.submission(file, options)));
    // A line in the host's log. Never print a member's data.
    console.log(`the receiver took file ${file.number} with ${file.rows} rows`);
    return token;
  },

  poll: (token) => imports.status(send(imports.question(token, options))),

  deliver: (batch) => delivery.deliver(rowsOf(batch, plan.columns), plan, options, send),
};
