// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  var b = input.bytes, pairs = [], n = 0;
  outer: for (var i = 0; i < b.length; i++) {
    for (var j = i + 1; j < b.length; j++) { if (b[j] === 0) continue outer; if (pairs.length > 5) break outer; pairs.push([b[i], b[j]]); }
  }
  block: { if (b.length < 2) break block; n = 1; }
  do { n += 2; if (n > 10) break; else continue; } while (n % 7);
  for (var k = 0, s = ''; ; s += k++) if (k > 3) break;
  var fns = []; for (let q = 0; q < 3; q++) fns.push(function () { return q++; });
  var old = []; for (var w = 0; w < 3; w++) old.push(function () { return w; });
  return { data: { pairs: pairs, n: n, s: s, fns: fns.map(function (f) { f(); return f(); }), old: old.map(function (f) { return f(); }) } };
}