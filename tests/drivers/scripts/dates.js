// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  var b = input.bytes, ts = ((b[0] << 24) | (b[1] << 16) | (b[2] << 8) | b[3]) >>> 0;
  var d = new Date(ts * 1000);
  return { data: { iso: d.toISOString(), date: d, text: d.toString(), utc: d.toUTCString(), local: d.toLocaleString(), us: d.toLocaleDateString('en-US', { weekday: 'long', year: 'numeric', month: 'short', day: '2-digit' }), time: d.toLocaleTimeString('en-GB'), parts: [d.getFullYear(), d.getMonth() + 1, d.getDate(), d.getHours(), d.getDay(), d.getTimezoneOffset()], sum: d + 1 } };
}
