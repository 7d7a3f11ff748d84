// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function half(b0, b1) {
  var h = b0 << 8 | b1, s = h >> 15 ? -1 : 1, e = h >> 10 & 31, f = h & 1023;
  if (e === 0) return s * Math.pow(2, -14) * (f / 1024);
  if (e === 31) return f ? NaN : s * Infinity;
  return s * Math.pow(2, e - 15) * (1 + f / 1024);
}
function decodeUplink(input) {
  var out = [];
  for (var i = 0; i + 1 < input.bytes.length; i += 2) out.push(half(input.bytes[i], input.bytes[i + 1]), half(input.bytes[i + 1], input.bytes[i]));
  return { data: { values: out, texts: out.map(String), fixed: out.map(function (v) { return v.toFixed(4); }) } };
}