// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  var b = input.bytes, v = (b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]) >>> 0;
  var date = new Date(2000 + (v >>> 26), (v >>> 22 & 15) - 1, v >>> 17 & 31, v >>> 12 & 31, v >>> 6 & 63, v & 63);
  var pad = function (n) { return n < 10 ? '0' + n : n; };
  return { data: { date: date, text: date.getFullYear() + '-' + pad(date.getMonth() + 1) + '-' + pad(date.getDate()) + ' ' + pad(date.getHours()) + ':' + pad(date.getMinutes()), plus: date + 1, minus: date - 1, invalid: new Date('x'), invalidText: String(new Date(NaN)) } };
}