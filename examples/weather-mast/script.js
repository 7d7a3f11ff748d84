// Luvwerk Mast 4: a weather station that sends Cayenne LPP, with two types of the vendor's own.
//
// A payload is readings, one after another: a channel, a type and a value, the highest byte first. Devices that keep to
// the standard's types need no script: their driver is thingshub/cayenne-lpp.
//
// The form is that of ChirpStack 3, in the JavaScript of its time.

var TYPES = {
  101: { name: 'luminosity', bytes: 2, step: 1 }, // lux
  103: { name: 'temperature', bytes: 2, step: 0.1, signed: true }, // °C
  104: { name: 'relative_humidity', bytes: 1, step: 0.5 }, // %
  115: { name: 'barometric_pressure', bytes: 2, step: 0.1 }, // hPa
  132: { name: 'direction', bytes: 2, step: 1 }, // degrees
  200: { name: 'rain', bytes: 2, step: 0.2 }, // mm since the restart
  201: { name: 'wind_gust', bytes: 2, step: 0.01 } // m/s
};

function number(bytes, at, type) {
  var value = 0;
  for (var i = 0; i < type.bytes; i++) value = value * 256 + bytes[at + i];
  var range = Math.pow(256, type.bytes);
  if (type.signed && value >= range / 2) value -= range;
  // Dividing keeps 23.4 from becoming 23.400000000000002.
  return value / Math.round(1 / type.step);
}

function Decode(fPort, bytes, variables) {
  if (fPort !== 2) throw new Error('port ' + fPort + ' carries no readings');
  var data = {};
  var at = 0;
  while (at < bytes.length) {
    var channel = bytes[at];
    var type = TYPES[bytes[at + 1]];
    if (!type) throw new Error('type ' + bytes[at + 1] + ' at byte ' + (at + 1) + ' is unknown');
    if (at + 2 + type.bytes > bytes.length) throw new Error(type.name + ' at byte ' + at + ' is cut off');
    data[type.name + '_' + channel] = number(bytes, at + 2, type);
    at += 2 + type.bytes;
  }
  return data;
}
