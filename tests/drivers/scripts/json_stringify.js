// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes }) {
  const o = { b: bytes, u: undefined, f() {}, d: new Date(0), n: { deep: [1, { x: null }] }, s: 'é"\\\u2028\n\u0007\ud800', nan: NaN, neg: -0, num: Object(5), str: Object('s'), bool: Object(false) };
  let cyc = {}; cyc.self = cyc; let message, big;
  try { JSON.stringify(cyc); } catch (e) { message = e.name + ' ' + e.message.split('\n')[0]; }
  try { JSON.stringify({ a: 1n }); } catch (e) { big = e.name + ': ' + e.message; }
  return { data: { two: JSON.stringify(o, null, 2), tab: JSON.stringify(o, null, '\t--indent-too-long'), list: JSON.stringify(o, ['n', 'deep', 'x', 5]), fn: JSON.stringify(o, (k, v) => (typeof v === 'number' ? v + 1 : v)), self: JSON.stringify(o, function (k, v) { return k && this === o ? k : v; }), und: String(JSON.stringify(undefined)), parse: JSON.parse('{"a":[1,2,{"b":3}],"__proto__":1}', (k, v) => (Array.isArray(v) ? v.length : v)), message, big, sp: JSON.stringify([[], {}], null, 20), rev: JSON.parse(' [1e3, -0, 1E-2, "\\u0041"] ') } };
}