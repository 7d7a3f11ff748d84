// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function f32(b) {
  var bits = b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
  var sign = bits >>> 31 === 0 ? 1.0 : -1.0, e = bits >>> 23 & 0xff;
  var m = e === 0 ? (bits & 0x7fffff) << 1 : bits & 0x7fffff | 0x800000;
  return sign * m * Math.pow(2, e - 150);
}
function decodeUplink(input) {
  var b = input.bytes, out = [];
  for (var i = 0; i + 3 < b.length; i++) { var v = f32(b.slice(i, i + 4)); out.push(v, parseFloat(v.toFixed(2)), Math.round(v * 100) / 100, v.toPrecision(5)); }
  return { data: { out: out } };
}