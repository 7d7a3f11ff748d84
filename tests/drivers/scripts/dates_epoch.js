// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  const n = input.bytes.slice(0, 4).reduce((a, b) => a * 256 + b, 0), d = new Date(n * 1000);
  return { data: {
    iso: d.toISOString(), json: d, text: String(d), utc: d.toUTCString(), date: d.toDateString(), time: d.toTimeString(),
    parts: [d.getFullYear(), d.getMonth(), d.getDate(), d.getDay(), d.getHours(), d.getTimezoneOffset()],
    local: [d.toLocaleString(), d.toLocaleDateString(), d.toLocaleTimeString(), d.toLocaleDateString('en-GB'), d.toLocaleTimeString('en-US', { hour: '2-digit', minute: '2-digit' })],
    long: d.toLocaleDateString('en-US', { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' }), de: d.toLocaleString('de-DE'),
    month: new Date(Date.UTC(2024, input.bytes.length, 31)).toISOString(), set: new Date(d).setUTCMonth(1, 30), parse: Date.parse('2024-02-30T00:00:00Z'), parse2: Date.parse('Thu, 01 Jan 1970 00:00:00 GMT+0200'), parse3: new Date('2024/3/1 10:00').getTime(), value: +d, diff: d - new Date(0),
  } };
}