// {"functions": ["decodeUplink", "encodeDownlink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", {"data": {"interval": 600, "on": true}}, {"data": {}}]}
(function () {
  const self = {};
  self.decodeUplink = (input) => { let sum = 0; for (const b of input.bytes || []) sum = (sum * 31 + b) % 65521; return { data: { sum, crc: (sum ^ 0xa5a5) >>> 0 } }; };
  exports.decodeUplink = self.decodeUplink;
  exports.encodeDownlink = function encodeDownlink({ data = {} }) {
    const { interval = 0, on } = data;
    return { fPort: 10, bytes: [interval >> 8, interval & 0xff, on ? 1 : 0], errors: on === undefined ? ['on is missing'] : [] };
  };
}());
