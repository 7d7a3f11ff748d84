// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
counter = 0;
(function () { for (index = 0; index < 3; index++) counter += index; leaked = typeof this.counter; })();
function decodeUplink(input) {
  total = 0;
  for (i in input.bytes) total += input.bytes[i];
  undefined = 5; NaN = 1;
  var made = delete counter;
  function inner() { return this === globalThis; }
  return { data: { total: total, i: typeof i, index: index, leaked: leaked, made: made, counter: typeof counter, undef: undefined === void 0, self: inner(), nan: String(NaN) } };
}