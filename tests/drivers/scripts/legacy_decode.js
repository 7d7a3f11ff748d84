// {"functions": ["Decode", "Decoder", "Encode"], "inputs": [{"bytes": [1, 2], "fPort": 3, "variables": {"offset": 4}, "data": {"a": 7}}, {"bytes": [], "fPort": 0, "data": {}}, {"bytes": [255], "data": {"a": "9"}}]}
// @ts-check
/** @param {number} fPort */
function Decode(fPort, bytes, variables) { return { port: fPort, n: bytes.length, offset: (variables && variables.offset) || 0, first: bytes[0] }; }
function Decoder(bytes, port, variables) { return Decode(port, bytes, variables); }
function Encode(fPort, obj, variables) { return [fPort, obj.a | 0]; }