// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
const config = { scale: { t: 0 }, none: null, call() { return this?.scale?.t ?? 'x'; } };
function decodeUplink(input) {
  const t = config?.scale?.t ?? 10, u = config.missing?.deep.deeper.deepest ?? 'fallback';
  let x = null, y = 0, z = 'z'; x ??= input.bytes?.[0]; y ||= 5; z &&= z + '!';
  return { data: { t, u, x, y, z, call: config.call?.(), none: config.nope?.(), idx: input.variables?.['key']?.[0], del: delete config?.gone, or: 0 || null || '', and: 1 && 0, mix: (null ?? 0) || 7, len: input?.bytes?.length } };
}