// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  var out = {};
  input.bytes.forEach(function (b, i) {
    var t = b / 3 - 40, rh = (b % 100) + 0.5;
    var g = Math.log(rh / 100) + (17.27 * t) / (237.7 + t);
    out['dew' + i] = (237.7 * g) / (17.27 - g);
    out['abs' + i] = 6.112 * Math.exp((17.67 * t) / (t + 243.5)) * rh * 2.1674 / (273.15 + t);
    out['pow' + i] = [Math.pow(10, -(b % 30)), 10 ** (b % 40 - 20), Math.pow(1.0001, b), Math.log10(b + 1), Math.sqrt(b), Math.atan2(b, i + 1), Math.sin(b), Math.cos(b / 7), Math.tan(b), Math.cbrt(b), Math.hypot(b, i, 0.1)];
  });
  return { data: out };
}
