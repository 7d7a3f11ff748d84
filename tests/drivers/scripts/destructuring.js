// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes: [flags = 0, , third = 'none', ...tail] = [], fPort: port = 99, nothing: { deep = 'deep' } = {}, ...others }) {
  let a = 1, b = 2; [a, b] = [b, a];
  const { length, [length - 1]: last = null } = tail;
  const swap = ({ x, y: { z = x } = {} }) => [x, z];
  for (var [k, { v = k } = {}] of Object.entries({ p: { v: 1 }, q: {} })) a += k + v;
  return { data: { flags, third, tail, port, deep, others, a, b, length, last, swap: swap({ x: 5 }) } };
}