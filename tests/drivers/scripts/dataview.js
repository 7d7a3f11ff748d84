// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes }) {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const out = {};
  for (const [name, size] of [['Int8', 1], ['Uint8', 1], ['Int16', 2], ['Uint16', 2], ['Int32', 4], ['Uint32', 4], ['Float32', 4], ['Float64', 8]]) {
    for (let at = 0; at + size <= Math.min(view.byteLength, 9); at++) {
      (out[name] ||= []).push(view['get' + name](at), view['get' + name](at, true));
    }
  }
  if (view.byteLength >= 8) out.big = [view.getBigInt64(0), view.getBigUint64(0, true)].map(String);
  try { view.getInt32(view.byteLength); } catch (e) { out.error = [e.name, e instanceof RangeError]; }
  return { data: out };
}