// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function* frames(bytes) { let i = 0; while (i < bytes.length) { const size = bytes[i] % 4 + 1; const more = yield bytes.slice(i, i += size); if (more) i += more; } return 'end'; }
const take = function* (n, it) { for (const x of it) { if (n-- <= 0) return; yield x; } };
function* all(bytes) { const r = yield* frames(bytes); yield r; }
function decodeUplink({ bytes }) {
  const g = frames(bytes), stepped = [g.next(), g.next(1), g.return('stop'), g.next()];
  const [first = null, ...others] = take(3, frames(bytes));
  let caught; const t = frames([1, 2]); t.next(); try { t.throw(new Error('in')); } catch (e) { caught = e.message; }
  return { data: { all: [...all(bytes)], stepped, first, others, caught } };
}