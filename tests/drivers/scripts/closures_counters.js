// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
var calls = (function () { var n = 0; return { next: function () { return ++n; }, get n() { return n; } }; })();
const memo = ((cache) => (k) => cache[k] ?? (cache[k] = k * 2 + calls.next()))({});
const compose = (...fs) => (x) => fs.reduceRight((v, f) => f(v), x), curry = (f) => (a) => (b) => f(a, b);
let later; { let hidden = 'h'; later = () => hidden += '!'; }
function decodeUplink({ bytes }) { later(); return { data: { memo: bytes.map(memo), calls: calls.n, comp: compose((x) => x + 1, (x) => x * 2)(bytes.length), curry: curry(Math.pow)(2)(10), later: later(), iife: (() => { return { n: 1 }; })().n, once: calls.next(), self: (function fact(n) { return n ? n * fact(n - 1) : 1; })(10) } }; }