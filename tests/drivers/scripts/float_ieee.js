// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function bytesToFloat(bytes) {
  var bits = bytes[3] << 24 | bytes[2] << 16 | bytes[1] << 8 | bytes[0];
  var sign = (bits >>> 31 === 0) ? 1.0 : -1.0;
  var e = bits >>> 23 & 0xff;
  var m = (e === 0) ? (bits & 0x7fffff) << 1 : (bits & 0x7fffff) | 0x800000;
  return sign * m * Math.pow(2, e - 150);
}
function decodeUplink(input) {
  var out = [];
  for (var i = 0; i + 3 < input.bytes.length; i += 4) {
    var v = bytesToFloat(input.bytes.slice(i, i + 4));
    out.push(v, parseFloat(v.toFixed(3)), Math.round(v * 1e3) / 1e3, +v.toPrecision(4), String(v));
    var dv = new DataView(new ArrayBuffer(4));
    input.bytes.slice(i, i + 4).forEach(function (b, k) { dv.setUint8(k, b); });
    out.push(dv.getFloat32(0), dv.getFloat32(0, true));
  }
  return { data: { values: out } };
}
