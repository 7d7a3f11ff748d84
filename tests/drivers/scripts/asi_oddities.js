// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
var a = 1
var b = a
++b
var c = function () { return 'c' }
;[1, 2].forEach(function (n) { a += n })
function decodeUplink (input) {
  var i = 0, n = 5
  i
  ++
  n
  if (a) ; else n = 0
  var r = (function () { return
    1 })()
  var let_ = 1, async = 2, of = 3, yield_ = 4, static_ = 5; var let = 9; var yield = 8; var await = 7
  return { data: { a: a, b: b, c: c(), i: i, n: n, r: r === undefined, of: of, let: let, yield: yield, await: await, comma: (1, 2), voided: void 0 === undefined, reg: 4 / 2 / 1, tern: a ? b ? 1 : 2 : 3, in_: 0 in input.bytes, neg: - -1, exp: (-2) ** 2, typeofnull: typeof null } }
}