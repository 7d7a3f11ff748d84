// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes }) {
  const vs = [0, 1234.5678, -9876543.21, 0.005, 1e21, NaN, ...bytes.slice(0, 4).map((b) => b * 1000.5)];
  return { data: vs.map((v) => [v.toLocaleString(), v.toLocaleString('en-US', { minimumFractionDigits: 2 }), v.toLocaleString('de-DE'), v.toLocaleString('en-US', { maximumFractionDigits: 0 }), new Intl.NumberFormat('en-US').format(v), v.toLocaleString(undefined, { style: 'percent' })]) };
}