// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  const b = Buffer.from(input.bytes), out = {};
  for (const name of ['readInt8', 'readUInt16LE', 'readInt16BE', 'readUInt32BE', 'readInt32LE', 'readFloatBE', 'readFloatLE', 'readDoubleBE', 'readDoubleLE', 'readBigInt64BE', 'readUint8']) {
    try { out[name] = String(b[name](1)); } catch (e) { out[name] = e.code + ' ' + e.message; }
  }
  for (let n = 1; n <= 6; n++) if (b.length >= n) out['n' + n] = [b.readUIntBE(0, n), b.readIntLE(0, n)];
  out.slice = b.slice(-3).toString('hex'); out.eq = b.equals(Buffer.from(input.bytes)); out.cmp = Buffer.compare(b, Buffer.alloc(4, 'ab'));
  out.concat = Buffer.concat([b, Buffer.from('!')]).toString('latin1'); out.swap = b.length % 2 ? null : Buffer.from(b).swap16().toString('hex'); out.json = b;
  return { data: out };
}