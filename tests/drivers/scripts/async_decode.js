// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
const wait = (v) => new Promise((resolve) => resolve(v));
async function part(b) { await null; if (b === 255) throw new Error('bad byte'); return (await wait(b)) * 2; }
async function* stream(bytes) { for (const b of bytes) yield await part(b); }
async function decodeUplink({ bytes }) {
  const settled = await Promise.allSettled(bytes.map(part)), out = [];
  try { for await (const v of stream(bytes)) out.push(v); } catch (e) { out.push(e.message); } finally { out.push('end'); }
  const any = await Promise.any([Promise.reject(1), wait('any')]), race = await Promise.race([wait('r'), wait('s')]);
  const order = []; queueMicro(order); await 0; await 0; order.push('c');
  if (bytes.length === 1) return part(bytes[0]).then((v) => ({ data: { v } }));
  return { data: { settled: settled.map((s) => s.status + (s.reason ? s.reason.message : s.value)), out, any, race, order } };
}
function queueMicro(o) { Promise.resolve().then(() => o.push('a')).then(() => o.push('b')); o.push('sync'); }