// {"functions": ["Decoder"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function Reader(bytes) { this.bytes = bytes; this.pos = 0; }
Reader.prototype.u8 = function () { return this.bytes[this.pos++]; };
Reader.prototype.u16 = function () { return this.u8() << 8 | this.u8(); };
Reader.prototype.s16 = function () { var v = this.u16(); return v & 0x8000 ? v - 0x10000 : v; };
Reader.prototype.left = function () { return this.bytes.length - this.pos; };
function Decoder(bytes, port) {
  var r = new Reader(bytes), out = {};
  if (r.left() >= 1) out.flags = r.u8();
  if (r.left() >= 2) out.t = r.s16() / 100;
  out.rest = []; while (r.left()) out.rest.push(r.u8());
  return out;
}