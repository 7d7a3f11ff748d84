// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  const buf = Buffer.from(input.bytes);
  const data = { hex: buf.toString('hex'), base64: buf.toString('base64'), text: buf.toString('ascii'), len: buf.length };
  try {
    data.a = buf.readInt16BE(0);
    data.b = buf.readUInt32LE(1);
    data.c = buf.readFloatBE(2);
    data.d = buf.readUIntBE(1, 3);
    data.slice = buf.slice(2, 5).toString('hex').toUpperCase();
    data.big = buf.readBigInt64LE(2).toString();
  } catch (e) {
    return { data, errors: [e.message] };
  }
  return { data };
}
