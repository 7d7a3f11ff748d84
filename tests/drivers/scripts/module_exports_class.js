// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
class Codec {
  constructor() { this.scale = 10; this.decodeUplink = this.decodeUplink.bind(this); }
  decodeUplink(input) { return { data: input.bytes.map((b) => b / this.scale) }; }
}
module.exports = new Codec();