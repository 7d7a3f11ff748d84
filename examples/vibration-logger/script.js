// Tremor L2: a logger that records vibration and sends a recording in several frames.
//
// Each frame on port 3 is a fragment of a recording:
//
//   byte 0  number of the recording in the high four bits, number of the fragment in the low four
//   byte 1  how many fragments the recording has
//   rest    a piece of the recording
//
// The pieces of a recording, one behind the other, the highest byte first:
//
//   4 bytes  time of the first value, in seconds since 1970
//   2 bytes  seconds from one value to the next
//   2 bytes  each: velocity in steps of 0.01 mm/s
//
// The pieces that have come are kept in the device's state until the last one is there. A frame that is lost costs its
// recording: the next recording begins anew.

var HEADER_BYTES = 6;

function decode(payload, port, state) {
  if (port !== 3) throw new Error('port ' + port + ' is unknown');
  if (payload.length < 2) throw new Error('a fragment has at least 2 bytes');
  var recording = payload[0] >> 4;
  var number = payload[0] & 15;
  var count = payload[1];
  if (number >= count) throw new Error('fragment ' + number + ' of ' + count);

  var isSame = state.recording === recording && state.count === count;
  var pieces = isSame ? state.pieces.slice() : new Array(count).fill(null);
  pieces[number] = Buffer.from(payload.slice(2)).toString('hex');
  var missing = pieces.filter(function (piece) { return piece === null; }).length;
  if (!isSame && state.missing > 0) {
    console.warn('recording %d lacks %d fragments and is given up', state.recording, state.missing);
  }
  if (missing > 0) {
    return { updates: [], new_state: { recording: recording, count: count, pieces: pieces, missing: missing } };
  }
  return { updates: valuesOf(Buffer.from(pieces.join(''), 'hex')), new_state: { missing: 0 } };
}

function valuesOf(bytes) {
  if (bytes.length < HEADER_BYTES) throw new Error('a recording has at least ' + HEADER_BYTES + ' bytes');
  var start = bytes.readUInt32BE(0);
  var step = bytes.readUInt16BE(4);
  var updates = [];
  for (var at = HEADER_BYTES; at + 2 <= bytes.length; at += 2) {
    updates.push({
      timestamp: new Date((start + updates.length * step) * 1000),
      values: { velocity: bytes.readUInt16BE(at) / 100 }
    });
  }
  return updates;
}
