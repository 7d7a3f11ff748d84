// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
const TYPES = {
  0x00: { size: 1, name: 'digital', get: (b) => b[0] },
  0x67: { size: 2, name: 'temperature', get: (b) => ((b[0] << 24 >> 16) | b[1]) / 10 },
  0x68: { size: 1, name: 'humidity', get: (b) => b[0] / 2 },
  0x73: { size: 2, name: 'pressure', get: (b) => (b[0] << 8 | b[1]) / 10 },
  0x71: { size: 6, name: 'acceleration', get: (b) => ({ x: b[0], y: b[2], z: b[4] }) },
};
function decodeUplink({ bytes: [...rest] }) {
  const data = {}, warnings = [];
  while (rest.length) {
    const [channel, type] = rest.splice(0, 2);
    const { size, name, get } = TYPES[type] ?? {};
    if (!name) { warnings.push(`type ${type} of channel ${channel} is unknown`); break; }
    (data[name] ??= {})[channel] = get(rest.splice(0, size));
  }
  return { data, warnings };
}