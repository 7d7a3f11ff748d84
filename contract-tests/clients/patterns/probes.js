// Prints which probes match which patterns, as ECMA 262 with knowledge of Unicode says.
import { readFileSync } from "node:fs";
const cases = JSON.parse(readFileSync(process.argv[2], "utf8"));
const verdicts = (flags) => cases.map(([pattern, probes]) => probes.map((probe) => Number(new RegExp(pattern, flags).test(probe))).join("")).join("\n");
if (verdicts("u") !== verdicts("")) throw new Error("the flag u makes a difference");
console.log(verdicts("u"));
