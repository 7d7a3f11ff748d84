// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
const tag = (strings, ...values) => strings.raw.map((s, i) => s + (values[i] ?? '')).join('|');
function same(s) { return s; }
const hex = (s, n) => s[0] + n.toString(16) + s[1];
function decodeUplink({ bytes }) {
  const [a = 1, b = 2] = bytes; const twice = [0, 1].map(() => same`x`);
  return { data: { tag: tag`a\n${a} \u0041${b}\x`, hex: hex`<${a}>`, nested: `${`${a}${`${b}`}`}`, multi: `line
two`, raw: String.raw`\t${a}`, once: twice[0] === twice[1], bad: (function (s) { return [s[0] === undefined, s.raw[0]]; })`\u{zz}` } };
}