// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
var early = typeof later + typeof decodeUplink + typeof expr, first = later();
function later() { return 'one'; }
function decodeUplink(input) {
  var out = [typeof x, typeof inner, typeof blocked, inner()];
  var x = 1; function inner() { return 'last'; } function inner() { return 'really last'; }
  { function blocked() { return 1; } }
  if (input.bytes.length) { function cond() { return 'c'; } }
  try { tdz; let tdz = 1; } catch (e) { out.push(e.name); }
  switch (1) { case 0: let s = 1; break; case 1: try { s; } catch (e) { out.push(e.name); } }
  var x; out.push(x, typeof blocked, typeof cond, early, first, later());
  return { data: out };
}
var expr = function named() { return typeof named; }; function later() { return 'two'; }