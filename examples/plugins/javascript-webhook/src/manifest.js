/** Who the plugin is and what it may ask for: the host shows it to the operator, and grants no more. */

import { KEY } from "./members.js";

const path = (initial, description, pattern = "^/") => ({
  type: "string",
  pattern,
  default: initial,
  description,
});

const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  properties: {
    import_path: path("/imports", "Where the file with the whole audience is posted."),
    job_path: path(
      "/imports/{id}",
      "Where the import is asked about; `{id}` is its id.",
      "^/.*\\{id\\}",
    ),
    members_path: path("/members", "Where changes are posted."),
    check_path: path(
      "/check",
      "What is read, with GET, to see whether the credential is accepted.",
    ),
  },
};

export const DEFAULTS = Object.fromEntries(
  Object.entries(SCHEMA.properties).map(([name, option]) => [name, option.default]),
);

/**
 * The operator's options over the defaults, and everything that is wrong with them. The host has
 * checked them against the schema; a program that embeds it may have not.
 */
export function options(text) {
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    given = undefined;
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return [DEFAULTS, [{ place: { tag: "whole" }, message: "the options are no JSON object" }]];
  }
  const findings = [];
  for (const [name, value] of Object.entries(given)) {
    const known = Object.hasOwn(SCHEMA.properties, name);
    const pattern = known ? SCHEMA.properties[name].pattern : undefined;
    let wrong;
    if (!known) wrong = "there is no such option";
    else if (typeof value !== "string" || !new RegExp(pattern).test(value)) {
      wrong = `expected a path that fits ${pattern}`;
    } else continue;
    const place = { tag: "option", val: name };
    findings.push({ place, message: `option \`${name}\`: ${wrong}` });
  }
  return [{ ...DEFAULTS, ...given }, findings];
}

/** The manifest; the same every time. */
export const describe = () => ({
  name: "javascript-webhook",
  version: "0.1.0",
  description: "Sends an audience to any API that takes JSON: one file, then each change",
  // The first is the default. What `{token}` stands for is never seen here: the host fills it in.
  authMethods: [
    method("bearer", "Bearer token", "token", "Authorization", "Bearer {token}"),
    method("api-key", "API key", "key", "X-Api-Key", "{key}"),
  ],
  endpoint: "https://api.example.com/v1",
  // A path that is an option widens what the plugin may do, so it is the operator who says it.
  routes: [
    route("POST", "{option:import_path}", "start the import of the audience"),
    route("GET", "{option:job_path}", "ask whether the import is done"),
    route("POST", "{option:members_path}", "send changes"),
    route("GET", "{option:check_path}", "see whether the credential is accepted"),
  ],
  fields: [
    {
      name: KEY,
      type: "text",
      format: "",
      required: true,
      composable: false,
      description: "By what the receiver tells members apart",
    },
  ],
  // Whatever else is mapped becomes a key of the member's JSON.
  customFields: "<name>",
  optionsSchema: JSON.stringify(SCHEMA),
  limits: {
    fileBytes: 256n << 20n,
    fileRows: 1_000_000n,
    stageRows: 1_000,
    // Rows of one request, and the most that is lost by one that fails.
    deliverRows: 100,
  },
  extra: [],
});

const route = (method, path, purpose) => ({ method, path, purpose });

/** A way to authorize with one secret in one header. */
const method = (id, label, secret, header, template) => ({
  id,
  label,
  credentials: [{ id: secret, label, description: "From whoever runs the API" }],
  headers: [[header, template]],
});
