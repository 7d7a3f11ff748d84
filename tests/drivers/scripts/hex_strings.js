// {"functions": ["decodeUplink", "Decode"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
var hex = function (bytes) { return Array.from(bytes, function (b) { return ('0' + (b & 0xff).toString(16)).slice(-2); }).join(''); };
function Decode(fPort, bytes, variables) {
  var s = hex(bytes).toUpperCase();
  return { hex: s, port: fPort, bin: s.split('').map(function (c) { return ('000' + parseInt(c, 16).toString(2)).substr(-4); }).join(' '), swapped: (s.match(/../g) || []).reverse().join(':'), none: variables.nothing };
}
function decodeUplink(input) { return { data: Decode(input.fPort, input.bytes, {}) }; }
