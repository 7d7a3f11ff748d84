// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  const text = new TextDecoder().decode(Uint8Array.from(input.bytes));
  const b64 = btoa(String.fromCharCode(...input.bytes));
  return { data: { text, b64, back: Array.from(atob(b64), (c) => c.charCodeAt(0)), bytes: Array.from(new TextEncoder().encode(text)), uri: encodeURIComponent(text.replace(/[^\x20-\x7e]/g, '?')), esc: escape(text) } };
}
