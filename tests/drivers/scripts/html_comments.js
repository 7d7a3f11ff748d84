// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
<!-- this was once inline
function decodeUplink(input) { var x = 1; <!-- ignored x = 2;
--> x = 3;
  var y = 5; while (y --> 3); return { data: { x: x, y: y, n: input.bytes.length } }; /* block
*/ --> also a comment
}
--> the end