// Runs samples in TypeScript: takes a line of JSON for each ({source, environment}) and gives one with what the
// hub answered ({status, media_type, body}), or why the sample failed ({error}).
import { createInterface } from "node:readline";
import { transform } from "esbuild";

const plainly = globalThis.fetch;
let answered;
globalThis.fetch = async (...request) => {
  const response = await plainly(...request);
  answered = response.clone();
  return response;
};
// What a sample prints is of no interest here, and would stand between the answers.
console.log = () => {};

const run = async ({ source, environment }) => {
  Object.assign(process.env, environment);
  answered = undefined;
  const { code } = await transform(source, { loader: "ts", format: "esm", target: "es2022" });
  await import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
  return {
    status: answered.status,
    media_type: answered.headers.get("content-type") ?? "",
    body: Buffer.from(await answered.arrayBuffer()).toString("base64"),
  };
};

for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await run(JSON.parse(line)).catch((error) => ({ error: String(error?.stack ?? error) }));
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
