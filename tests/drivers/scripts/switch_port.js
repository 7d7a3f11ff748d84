// {"functions": ["decodeUplink"], "inputs": [{"bytes": [1, 2, 3], "fPort": 1}, {"bytes": [1, 2, 3], "fPort": 2}, {"bytes": [1, 2, 3], "fPort": 3}, {"bytes": [1, 2, 3], "fPort": 100}, {"bytes": []}]}
"use strict";
const handlers = new Map([[1, (b) => ({ kind: `status ${b[0]}` })], [2, (b) => ({ kind: 'data', values: [...b].map((x, i) => x ** i) })]]);
function decodeUplink(input) {
  switch (input.fPort) {
    case 1: case 2: return { data: handlers.get(input.fPort)(input.bytes) };
    case 3: throw new Error('port 3 is not in use');
    default: return { errors: ['unknown FPort: ' + input.fPort] };
  }
}
