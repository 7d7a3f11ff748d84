// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  data = {}; count = 0;
  for (i in input.bytes) { count += Number(i); data['b' + i] = input.bytes[i] ^ 0x55; }
  data.count = count; data.self = this === globalThis; data.args = arguments.length;
  with_nothing = undefined;
  delete data.b0;
  return { data: data, warnings: count > 10 ? ['many'] : undefined };
}
