// The same scripts in Node's vm, for comparison: node decodes.mjs <seconds> <path> <script>...
//
// `isolated` makes a context of its own for each call, which keeps calls apart as the hub does;
// `shared` calls the function in one context again and again, which keeps nothing apart. Both
// compile the script once. `cold` compiles, too. One line of JSON a script.

import { readFileSync } from "node:fs";
import vm from "node:vm";

const [seconds, path, ...scripts] = process.argv.slice(2);
const BYTES = [0x01, 0x75, 0x64, 0x03, 0x67, 0x18, 0x01, 0x04, 0x68, 0x6d];
const CALL = new vm.Script("JSON.stringify(decodeUplink(input))");
// Far from any call: what counts is that it is watched.
const OPTIONS = { timeout: 1000 };

const input = () => ({ bytes: [...BYTES], fPort: 85, recvTime: new Date(0) });

const paths = {
  isolated: (source) => {
    const script = new vm.Script(source);
    return () => {
      const context = vm.createContext({ input: input() });
      script.runInContext(context, OPTIONS);
      return CALL.runInContext(context, OPTIONS);
    };
  },
  shared: (source) => {
    const context = vm.createContext({});
    new vm.Script(source).runInContext(context, OPTIONS);
    return () => {
      context.input = input();
      return CALL.runInContext(context, OPTIONS);
    };
  },
  cold: (source) => {
    let count = 0;
    return () => {
      const context = vm.createContext({ input: input() });
      new vm.Script(`${source}\n// ${count++}`).runInContext(context, OPTIONS);
      return CALL.runInContext(context, OPTIONS);
    };
  },
};

for (const file of scripts) {
  const decode = paths[path](readFileSync(file, "utf8"));
  for (let warmUp = 0; warmUp < 200; warmUp++) decode();
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < seconds * 1000) {
    if (!decode().includes("data")) throw new Error("no data");
    count++;
  }
  const elapsed = (performance.now() - started) / 1000;
  console.log(JSON.stringify({ path, a_second: Math.round(count / elapsed) }));
}
