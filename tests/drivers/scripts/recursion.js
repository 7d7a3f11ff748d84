// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function walk(bytes, depth) {
  if (!bytes.length || depth > 6) return null;
  const mid = bytes.length >> 1;
  return { v: bytes[mid], l: walk(bytes.slice(0, mid), depth + 1), r: walk(bytes.slice(mid + 1), depth + 1) };
}
const fib = (n) => (n < 2 ? n : fib(n - 1) + fib(n - 2));
const ack = function a(m, n) { return m === 0 ? n + 1 : n === 0 ? a(m - 1, 1) : a(m - 1, a(m, n - 1)); };
function decodeUplink({ bytes }) { return { data: { tree: walk(bytes, 0), fib: fib(bytes.length % 12), ack: ack(1, bytes.length) } }; }