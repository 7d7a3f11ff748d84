// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function* chunks(bytes, n) { for (let i = 0; i < bytes.length; i += n) yield bytes.slice(i, i + n); }
const decodeUplink = function (input) {
  const values = [...chunks(input.bytes, 2)].map(([hi, lo = 0]) => (hi << 8 | lo) << 16 >> 16);
  const view = new Proxy({}, { get: (_, key) => typeof key === 'string' ? values[+key] : undefined, ownKeys: () => values.map((_, i) => String(i)), getOwnPropertyDescriptor: (_, k) => ({ value: values[k], enumerable: true, configurable: true }) });
  const label = ((o) => { try { return o?.a?.b ?? 'none'; } finally { values.push(0); } })(input);
  return { data: { view, label, max: Math.max(...values), min: Math.min(...values), flags: { a: !!(input.bytes[0] & 1), b: Boolean(input.bytes[0] >> 7) }, tagged: String.raw`\x${values.length}` } };
};
