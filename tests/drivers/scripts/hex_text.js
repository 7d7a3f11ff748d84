// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  const hex = input.bytes.map((b) => b.toString(16).padStart(2, '0')).join('').toUpperCase();
  const bits = input.bytes.map((b) => b.toString(2).padStart(8, '0')).join(' ');
  const back = (hex.match(/../g) || []).map((x) => parseInt(x, 16));
  return { data: { hex, bits, back, number: Number('0x' + hex), big: hex ? BigInt('0x' + hex).toString() : null, b36: back.map((n) => n.toString(36)), frac: (0.1).toString(2), third: (1 / 3).toString(3), neg: (-255.5).toString(16) } };
}