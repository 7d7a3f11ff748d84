// {"functions": ["decodeUplink", "decode"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
var types = { 0: { size: 1, name: 'digital_in', signed: false, divisor: 1 }, 2: { size: 2, name: 'analog_in', signed: true, divisor: 100 }, 103: { size: 2, name: 'temperature', signed: true, divisor: 10 }, 104: { size: 1, name: 'humidity', signed: false, divisor: 2 }, 115: { size: 2, name: 'barometer', signed: false, divisor: 10 }, 136: { size: 9, name: 'gps', signed: true, divisor: [10000, 10000, 100] } };
function toInt(stream, signed, divisor) {
  var value = 0;
  for (var i = 0; i < stream.length; i++) { if (stream[i] > 0xff) throw 'Byte value overflow!'; value = (value << 8) | stream[i]; }
  if (signed) { var edge = 1 << (stream.length * 8), max = (edge - 1) >> 1; value = value > max ? value - edge : value; }
  return value / divisor;
}
function decode(bytes) {
  var sensors = {}, i = 0;
  while (i < bytes.length) {
    var no = bytes[i++], id = bytes[i++];
    if (typeof types[id] == 'undefined') { sensors.error = 'Sensor type error!: ' + id; return sensors; }
    var type = types[id];
    sensors[type.name + '_' + no] = toInt(bytes.slice(i, i + type.size), type.signed, type.divisor);
    i += type.size;
  }
  return sensors;
}
function decodeUplink(input) { return { data: decode(input.bytes), warnings: [], errors: [] }; }
