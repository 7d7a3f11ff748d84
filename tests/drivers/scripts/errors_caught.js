// {"functions": ["decodeUplink"], "inputs": ["", "01", "02", "03", "04"]}
function decodeUplink(input) {
  try {
    switch (input.bytes[0]) {
      case 1: return input.missing.length;
      case 2: return undeclared;
      case 3: return Buffer.from(input.bytes).readUInt16BE(5);
      case 4: throw { errors: ['own'], toString: function () { return 'custom'; } };
      default: return null.x;
    }
  } catch (e) {
    return { errors: [e.message || String(e), String(e), typeof e] };
  }
}
