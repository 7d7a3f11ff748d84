// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
const key = Symbol('key'), shared = Symbol.for('shared');
class Range { constructor(n) { this.n = n; } *[Symbol.iterator]() { for (let i = 0; i < this.n; i++) yield i * i; } [Symbol.toPrimitive](hint) { return hint === 'number' ? this.n : hint + '!'; } static [Symbol.hasInstance](x) { return x === 1; } }
function decodeUplink({ bytes }) {
  const r = new Range(bytes.length % 5);
  return { data: { [key]: 1, list: [...r], num: +r, text: `${r}`, add: r + 1, inst: 1 instanceof Range, desc: key.description, str: String(key), same: Symbol.for('shared') === shared, keyFor: Symbol.keyFor(shared), syms: Object.getOwnPropertySymbols({ [key]: 1 }).length, arr: [key, key.toString()] } };
}