// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
class BitReader {
  #bits; #at = 0;
  constructor(bytes) { this.#bits = bytes.map((b) => b.toString(2).padStart(8, '0')).join(''); }
  get left() { return this.#bits.length - this.#at; }
  read(n) { const part = this.#bits.substr(this.#at, n); this.#at += n; return parseInt(part, 2); }
  signed(n) { const v = this.read(n); return v >= 2 ** (n - 1) ? v - 2 ** n : v; }
}
const decodeUplink = ({ bytes, fPort = 1, ...rest }) => {
  const r = new BitReader(bytes);
  const data = { fPort, rest };
  for (const [name, n] of Object.entries({ a: 3, b: 5, c: 12, d: 4, e: 16 })) data[name] = r.left >= n ? r.signed(n) * 0.01 : undefined;
  data.left ??= r.left;
  return { data };
};
