// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
!function (root, factory) {
  "object" == typeof exports && "object" == typeof module ? module.exports = factory() : "function" == typeof define && define.amd ? define([], factory) : root.codec = factory();
}(this, function () { "use strict"; var t = { 0: "off", 1: "on" }; return { decodeUplink: function (e) { var n; return { data: { state: null !== (n = t[e.bytes[0]]) && void 0 !== n ? n : "unknown", n: e.bytes.reduce(function (a, b) { return a + b; }, 0) } }; } }; });
