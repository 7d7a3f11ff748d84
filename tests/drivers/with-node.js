#!/usr/bin/env node
// Runs the drivers here with Node and writes expected.json, which the tests compare with.
//
//   TZ=UTC node tests/drivers/with-node.js
'use strict';
const fs = require('fs');
const path = require('path');
const vm = require('vm');

process.env.TZ = 'UTC';
const here = __dirname;

function context() {
  const exports = {};
  const quiet = () => {};
  return vm.createContext({
    Buffer, atob, btoa, TextEncoder, TextDecoder, structuredClone,
    Uint8Array, ArrayBuffer, SharedArrayBuffer,
    module: { exports }, exports,
    console: { log: quiet, info: quiet, warn: quiet, error: quiet, debug: quiet, trace: quiet },
  });
}

async function call(source, name, input) {
  const sandbox = context();
  vm.runInContext(source, sandbox);
  const global = vm.runInContext(`typeof ${name} === 'function' ? ${name} : undefined`, sandbox);
  const found = global ?? sandbox.module.exports[name] ?? sandbox.exports[name];
  const bytes = input.bytes;
  const port = input.fPort ?? null;
  const variables = input.variables ?? {};
  const list = {
    decode: [bytes, port, variables], Decoder: [bytes, port, variables], Decode: [port, bytes, variables],
    Encoder: [input.data, port, variables], Encode: [port, input.data, variables],
  }[name] ?? [input];
  sandbox.input = JSON.stringify(list);
  sandbox.list = vm.runInContext('JSON.parse(input)', sandbox);
  return JSON.stringify(await found(...sandbox.list)) ?? 'null';
}

(async () => {
  const expressions = fs.readFileSync(path.join(here, 'expressions.txt'), 'utf8').trim().split('\n');
  const source = fs.readFileSync(path.join(here, 'expressions.js'), 'utf8');
  const expected = { expressions: {}, calls: [] };
  for (const expression of expressions) {
    expected.expressions[expression] = await call(source, 'evaluate', [expression]);
  }
  for (const file of fs.readdirSync(path.join(here, 'scripts')).sort()) {
    const script = fs.readFileSync(path.join(here, 'scripts', file), 'utf8');
    const first = script.split('\n', 1)[0];
    const { functions, inputs } = JSON.parse(first.replace(/^\uFEFF?\/\/ /, ''));
    for (const name of functions) {
      for (const input of inputs) {
        let answer;
        try {
          answer = { result: await call(script, name, typeof input === 'string' ? { bytes: [...Buffer.from(input, 'hex')], fPort: 2 } : input) };
        } catch (error) {
          answer = { thrown: String(error.message) };
        }
        expected.calls.push({ script: `scripts/${file}`, function: name, input, ...answer });
      }
    }
  }
  fs.writeFileSync(path.join(here, 'expected.json'), JSON.stringify(expected, null, 1) + '\n');
  console.log(`${expressions.length} expressions, ${expected.calls.length} calls`);
})();
