// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes }) {
  const u8 = new Uint8Array(bytes), out = {};
  out.utf8 = new TextDecoder().decode(u8); out.utf16 = new TextDecoder('utf-16le').decode(u8); out.fatal = (() => { try { return new TextDecoder('utf-8', { fatal: true }).decode(u8); } catch (e) { return e.name; } })();
  out.bytes = Array.from(new TextEncoder().encode('é€😀' + String.fromCharCode(...bytes))); out.into = new TextEncoder().encodeInto('abc€', new Uint8Array(5)); out.name = new TextDecoder('latin1').encoding; out.escape = escape(out.utf8); out.enc = encodeURIComponent('é€ /'); out.dec = decodeURIComponent(escape('é'.normalize()).replace('%E9', '%C3%A9')); out.un = unescape('%u20AC%41'); out.ascii = bytes.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : '.')).join('');
  return { data: out };
}