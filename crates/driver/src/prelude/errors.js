// Errors that a driver catches read as in V8: drivers hand their messages on. Positions in `stack`
// stay those of this engine.
(function (natives) {
  'use strict';
  const quiet = natives.quiet ?? ((pattern) => pattern);
  const words = [
    [/^cannot read property 'Symbol\.iterator' of null$/, () => 'null is not iterable'],
    [/^cannot read property 'Symbol\.iterator' of undefined$/, () => 'undefined is not iterable (cannot read property Symbol(Symbol.iterator))'],
    [/^cannot read property '(.*)' of (undefined|null)$/s, (_, key, of) => `Cannot read properties of ${of} (reading '${key}')`],
    [/^cannot set property '(.*)' of (undefined|null)$/s, (_, key, of) => `Cannot set properties of ${of} (setting '${key}')`],
    [/^'(.*)' is read-only$/s, () => 'Assignment to constant variable.'],
    [/^(.*) is not initialized$/s, (_, name) => `Cannot access '${name}' before initialization`],
    [/^BigInt are forbidden in JSON\.stringify$/, () => 'Do not know how to serialize a BigInt'],
    [/^cannot convert bigint to number$/i, () => 'Cannot mix BigInt and other types, use explicit conversions'],
    [/^cannot convert symbol to string$/, () => 'Cannot convert a Symbol value to a string'],
    [/^invalid array length$/, () => 'Invalid array length'],
    [/^Date value is NaN$/, () => 'Invalid time value'],
    [/^invalid number of digits$/, () => 'toFixed() digits argument must be between 0 and 100'],
    [/^empty array$/, () => 'Reduce of empty array with no initial value'],
    [/^circular reference$/, () => 'Converting circular structure to JSON'],
    [/^(malformed UTF-8|expecting %|expecting hex digit|invalid character|expecting surrogate pair)$/, () => 'URI malformed'],
    [/^(.* in JSON at position \d+) \(line \d+ column \d+\)$/s, (_, text) => text],
  ];
  for (const [pattern] of words) quiet(pattern);
  const has = Object.prototype.hasOwnProperty;
  function site(call) {
    const name = call.getFunctionName() || '';
    const file = call.getFileName();
    if (!file || call.isNative()) return `    at ${name || '<anonymous>'} (native)`;
    const place = `${file}:${call.getLineNumber()}:${call.getColumnNumber()}`;
    return name && name !== '<eval>' ? `    at ${name} (${place})` : `    at ${place}`;
  }
  Error.prepareStackTrace = function prepareStackTrace(error, calls) {
    if (typeof error !== 'object' || error === null) return undefined;
    if (has.call(error, 'message') && typeof error.message === 'string') {
      for (const [pattern, replacement] of words) {
        if (pattern.test(error.message)) {
          Object.defineProperty(error, 'message', { value: error.message.replace(pattern, replacement) });
          break;
        }
      }
    }
    const name = typeof error.name === 'string' ? error.name : 'Error';
    const message = typeof error.message === 'string' ? error.message : '';
    const head = message ? (name ? `${name}: ${message}` : message) : name;
    return [head, ...calls.map(site)].join('\n');
  };
})
