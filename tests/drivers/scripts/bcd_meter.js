// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function bcd(bytes) { return bytes.reduceRight(function (text, b) { return text + (b >> 4) + (b & 15); }, ''); }
function decodeUplink(input) {
  var b = input.bytes, id = bcd(b.slice(0, 4)), volume = parseInt(bcd(b.slice(4, 8)), 10) / 1000;
  return { data: { id: id, padded: ('00000000' + id).slice(-8), volume: isNaN(volume) ? null : volume, raw: volume, number: +id, hex: parseInt(id, 16), octal: parseInt(id.replace(/[89]/g, '7'), 8) } };
}