// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
// Windows
function decodeUplink(input) {
  var text = `a
b`;
  var joined = 'x\
y';
  return {
    data: { text: text, joined: joined, n: input.bytes.length }
  };
}
