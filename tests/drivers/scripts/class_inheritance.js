// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
class Field { constructor(name, size) { this.name = name; this.size = size; } parse(b) { return b.reduce((a, x) => a * 256 + x, 0); } get [Symbol.toStringTag]() { return 'Field'; } }
class Signed extends Field { parse(b) { const v = super.parse(b); const max = 256 ** this.size; return v >= max / 2 ? v - max : v; } }
class Scaled extends Signed { constructor(n, s, k) { super(n, s); this.k = k; } parse(b) { return +(super.parse(b) * this.k).toFixed(3); } }
const fields = [new Field('id', 1), new Signed('s', 2), new Scaled('t', 2, 0.01), new Field('big', 6)];
function decodeUplink(input) {
  let pos = 0; const data = {};
  for (const f of fields) {
    const part = input.bytes.slice(pos, pos += f.size);
    if (part.length < f.size) { data.missing = `${f} ${f.name} ${f instanceof Signed} ${f.constructor.name}`; break; }
    data[f.name] = f.parse(part);
  }
  return { data };
}