// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes }) {
  const o = Object.create(null); o.n = bytes.length; o.constructor = 'own'; o.__proto__ = 'plain';
  const p = { __proto__: null, x: 1 }, q = JSON.parse('{"__proto__": {"y": 2}}');
  return { data: { o, p, q, has: Object.hasOwn(o, '__proto__'), tag: Object.prototype.toString.call(o), keys: Object.keys(q), lit: { ['__proto__']: 3 }, cls: [[], 1, null, undefined, /x/, new Date(0), arg()].map((v) => Object.prototype.toString.call(v)) } };
}
function arg() { return arguments; }