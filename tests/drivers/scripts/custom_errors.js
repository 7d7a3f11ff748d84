// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
class DecodeError extends Error { constructor(message, code, options) { super(message, options); this.name = 'DecodeError'; this.code = code; } toString() { return `${this.name}[${this.code}] ${this.message}`; } }
function Old(message) { this.message = message; } Old.prototype = Object.create(Error.prototype); Old.prototype.constructor = Old; Old.prototype.name = 'Old';
function decodeUplink({ bytes }) {
  const log = [];
  const run = (f) => { try { return f(); } catch (e) { log.push([String(e), e instanceof Error, e.name, e.code, e.cause && e.cause.message, Object.keys(e), JSON.stringify(e)]); } finally { log.push('f'); } };
  run(() => { throw new DecodeError('short', bytes.length, { cause: new RangeError('inner') }); });
  run(() => { throw new Old('old'); });
  run(() => { throw new AggregateError([new Error('a')], 'many'); });
  run(() => { throw 'text'.at(0); });
  const value = (() => { try { return 'try'; } finally { if (bytes.length > 3) return 'finally'; } })();
  if (bytes[0] === 255) throw new DecodeError('thrown out', 1);
  return { data: { log, value, text: Object.prototype.toString.call(new Old('x')) }, errors: [] };
}