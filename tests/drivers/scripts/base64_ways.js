// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  var text = String.fromCharCode.apply(null, input.bytes), b64 = btoa(text);
  var table = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', own = '';
  for (var i = 0; i < input.bytes.length; i += 3) {
    var a = input.bytes[i], b = input.bytes[i + 1], c = input.bytes[i + 2];
    own += table[a >> 2] + table[(a & 3) << 4 | b >> 4] + (b === undefined ? '=' : table[(b & 15) << 2 | c >> 6]) + (c === undefined ? '=' : table[c & 63]);
  }
  return { data: { b64: b64, own: own, same: own === b64, back: atob(b64) === text, url: Buffer.from(input.bytes).toString('base64url'), size: Buffer.byteLength(b64, 'base64') } };
}