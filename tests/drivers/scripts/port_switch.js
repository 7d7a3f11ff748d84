// {"functions": ["decodeUplink"], "inputs": [{"bytes": [1, 2], "fPort": 0}, {"bytes": [1, 2], "fPort": 1}, {"bytes": [1, 2], "fPort": 2}, {"bytes": [1, 2], "fPort": 3}, {"bytes": [1, 2], "fPort": 10}, {"bytes": [1, 2], "fPort": 255}, {"bytes": [], "fPort": 2}, {"bytes": [9]}, {"bytes": [9], "fPort": null}]}
function decodeUplink(input) {
  switch (input.fPort) {
    case 1: case 10: return { data: { kind: 'status', battery: input.bytes[0] } };
    case 2: { let x = input.bytes.length; if (x) { return { data: { kind: 'two', x } }; } }
    // falls through
    case '3': return { data: { kind: 'fell' } };
    default: return { errors: ['unknown port ' + input.fPort] };
    case null: return { data: { kind: 'none' } };
  }
}