// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
class BitReader {
  #bytes; #bit = 0;
  static #made = 0;
  static get made() { return BitReader.#made; }
  constructor(bytes) { this.#bytes = bytes; BitReader.#made++; }
  read(count) {
    let value = 0;
    for (let i = 0; i < count; i++, this.#bit++) {
      const byte = this.#bytes[this.#bit >> 3] ?? 0;
      value = (value << 1) | ((byte >> (7 - (this.#bit & 7))) & 1);
    }
    return value >>> 0;
  }
  signed(count) { const v = this.read(count); return v >= 2 ** (count - 1) ? v - 2 ** count : v; }
  static { this.version = 'v1'; }
}
const decodeUplink = ({ bytes }) => {
  const r = new BitReader(bytes);
  return { data: { a: r.read(3), b: r.signed(5), c: r.read(12), d: r.signed(12), made: BitReader.made, version: BitReader.version } };
};