// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes }) {
  const xs = [0, -0, 0.3, -2.5, 10, ...bytes.slice(0, 6).map((b) => b / 16)];
  const out = {};
  for (const name of ['abs', 'acos', 'acosh', 'asin', 'asinh', 'atan', 'cbrt', 'ceil', 'clz32', 'cos', 'cosh', 'exp', 'expm1', 'floor', 'fround', 'log', 'log10', 'log2', 'round', 'sign', 'sin', 'sinh', 'sqrt', 'tan', 'tanh', 'trunc']) out[name] = xs.map((x) => Math[name](x));
  out.two = xs.map((x) => [Math.atan2(x, 2), Math.pow(x, 2.5), Math.pow(2, x), Math.imul(x, 3), Math.hypot(x, 4), x ** 3, x % 3, -x % 2]);
  out.max = [Math.max(...bytes), Math.min(...bytes), Math.max(), Math.max(1, NaN), Math.max(-0, 0)];
  const m = 17.62 * 22.5 / (243.12 + 22.5) + Math.log(0.55); out.dew = 243.12 * m / (17.62 - m); out.e = [Math.E, Math.LN2, Math.PI, Math.SQRT1_2];
  return { data: out };
}