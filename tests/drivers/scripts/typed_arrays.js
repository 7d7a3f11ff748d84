// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  const u8 = new Uint8Array(input.bytes), buf = u8.buffer.slice(0, u8.length - u8.length % 4);
  return { data: {
    i8: [...new Int8Array(input.bytes)], clamped: [...new Uint8ClampedArray([300, -5, 1.5, 2.5, NaN])],
    u16: Array.from(new Uint16Array(buf)), i32: Array.from(new Int32Array(buf)), f32: Array.from(new Float32Array(buf)),
    sub: u8.subarray(1, -1).join(), rev: [...u8.slice().reverse()], idx: u8.indexOf(255), inc: u8.includes(0),
    sorted: [...u8].sort(), sortedTyped: [...u8.slice().sort()], fill: [...new Uint8Array(3).fill(7, 1)],
    set: (() => { const t = new Uint8Array(6); t.set([1, 2, 3], 2); t.copyWithin(0, 2); return [...t]; })(),
    of: Uint16Array.of(1, 65536, -1), entries: [...u8.entries()].slice(0, 2), at: u8.at(-1), plain: u8, len: Uint16Array.BYTES_PER_ELEMENT,
  } };
}