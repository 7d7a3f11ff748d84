// {"functions": ["encodeDownlink", "decodeDownlink", "normalizeUplink"], "inputs": [{"data": {"mode": "eco", "target": 21.5}, "bytes": [1, 0, 215]}, {"data": {"mode": "x"}, "bytes": [9]}, {"data": {"mode": "off", "target": -5.04, "interval": 600, "confirmed": 1}, "bytes": [0, 255, 206]}, {"data": {"mode": "toString", "target": 1000000000.0, "port": 200}, "bytes": [2]}, {"bytes": []}]}
var MODES = { off: 0, eco: 1, comfort: 2 };
function encodeDownlink(input) {
  var d = input.data || {}, errors = [], bytes = [];
  if (!(d.mode in MODES)) errors.push('mode must be one of ' + Object.keys(MODES).join(', '));
  if (typeof d.target !== 'number' || d.target !== d.target) errors.push('target is no number');
  if (errors.length) return { errors: errors };
  var t = Math.round(d.target * 10) & 0xffff;
  bytes.push(MODES[d.mode], t >> 8, t & 0xff); if (d.interval) bytes = bytes.concat(Array.from(Buffer.from([d.interval >> 8, d.interval])));
  return { bytes: bytes, fPort: d.port || 15, confirmed: !!d.confirmed, warnings: [] };
}
function decodeDownlink(input) { var b = input.bytes || [], name; for (name in MODES) if (MODES[name] === b[0]) break; return { data: { mode: name, target: (b[1] << 24 >> 16 | b[2]) / 10 } }; }
function normalizeUplink(input) { var d = input.data; return d && d.target != null ? { data: [{ air: { temperature: d.target }, time: d.time }] } : {}; }