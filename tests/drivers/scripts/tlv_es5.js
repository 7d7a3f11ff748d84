// {"functions": ["decodeUplink", "Decoder"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function Decoder(bytes, port) {
  var decoded = {};
  for (var i = 0; i < bytes.length;) {
    var channel = bytes[i++], type = bytes[i++];
    if (type === 0x75) { decoded.battery = bytes[i]; i += 1; }
    else if (type === 0x67) { decoded['temperature_' + channel] = int16(bytes.slice(i, i + 2)) / 10; i += 2; }
    else if (type === 0x68) { decoded.humidity = bytes[i] / 2; i += 1; }
    else { decoded.unknown = type; break; }
  }
  return decoded;
}
function int16(b) { var v = (b[1] << 8) + b[0]; return v > 0x7fff ? v - 0x10000 : v; }
function decodeUplink(input) { return { data: Decoder(input.bytes, input.fPort), warnings: [], errors: [] }; }
