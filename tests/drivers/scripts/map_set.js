// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
const names = new Map([[0x67, 'temperature'], [0x68, 'humidity'], ['0x67', 'text']]);
function decodeUplink({ bytes }) {
  const seen = new Set(bytes), counts = new Map();
  for (const b of bytes) counts.set(b, (counts.get(b) || 0) + 1);
  const weak = new WeakMap(); weak.set(seen, 1);
  return { data: { names: bytes.map((b) => names.get(b)), seen: [...seen], counts: Object.fromEntries(counts), max: [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0], size: seen.size, set: seen, map: counts, weak: weak.has(seen), nan: new Set([NaN, NaN, 0, -0]).size, spread: [...counts.keys()].slice(0, 3), del: seen.delete(255) } };
}