// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "017564036700fa04686405660000", "80000000", "7f800000", "3f9d70a4c2f6e979", "00000000000000000000", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink(input) {
  const s = input.bytes.map((b) => String.fromCharCode(32 + (b % 95))).join('');
  return { data: {
    sorted: [...s].sort().join(''), byLocale: [...s].filter((c) => /[a-z]/i.test(c)).sort((a, b) => a.localeCompare(b)).join(''),
    bySize: input.bytes.slice().sort((a, b) => b - a), words: s.split(/\W+/), replaced: s.replace(/([A-Z])(?=[a-z])/g, '<$1>').replaceAll('_', '-'),
    named: s.match(/(?<first>\w)(?<second>\W)/)?.groups ?? null, pad: s.padStart(25, '*').slice(-25), trimmed: s.trim(), upper: s.toUpperCase(), code: [...s].map((c) => c.codePointAt(0).toString(36)).join(''),
    number: (input.bytes[0] * 1234.5678 || 0).toLocaleString(), fixed: (input.bytes[1] / 7 || 0).toFixed(2), chunks: s.match(/.{1,3}/g), last: s.at(-1), grouped: Object.entries(input.bytes.reduce((a, b) => ({ ...a, [b % 3]: (a[b % 3] || 0) + 1 }), {})),
  } };
}
