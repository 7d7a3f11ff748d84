// structuredClone of what a driver has: no transfer, no host objects.
(function () {
  'use strict';
  const fail = (value) => {
    throw new DOMException(`${typeof value === 'symbol' ? String(value) : typeof value === 'function' ? String(value) : '#<Object>'} could not be cloned.`, 'DataCloneError');
  };
  function copy(value, seen) {
    if (typeof value === 'function' || typeof value === 'symbol') fail(value);
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return seen.get(value);
    const keep = (made) => (seen.set(value, made), made);
    if (Array.isArray(value)) {
      const made = keep(new Array(value.length));
      for (const key of Object.keys(value)) made[key] = copy(value[key], seen);
      return made;
    }
    if (value instanceof Date) return keep(new Date(value.getTime()));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return keep(Object(value.valueOf()));
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (value instanceof DataView) return keep(new DataView(copy(value.buffer, seen), value.byteOffset, value.byteLength));
    if (ArrayBuffer.isView(value)) {
      const Class = globalThis[Object.prototype.toString.call(value).slice(8, -1)];
      return keep(new Class(copy(value.buffer, seen), value.byteOffset, value.length));
    }
    if (value instanceof Map) {
      const made = keep(new Map());
      for (const [key, item] of [...value]) made.set(copy(key, seen), copy(item, seen));
      return made;
    }
    if (value instanceof Set) {
      const made = keep(new Set());
      for (const item of [...value]) made.add(copy(item, seen));
      return made;
    }
    if (value instanceof Error) {
      const Class = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }[value.name] ?? Error;
      const made = keep(new Class(value.message));
      Object.defineProperty(made, 'stack', { value: value.stack, writable: true, enumerable: false, configurable: true });
      return made;
    }
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) fail(value);
    const made = keep({});
    for (const key of Object.keys(value)) made[key] = copy(value[key], seen);
    return made;
  }
  Object.defineProperty(globalThis, 'structuredClone', {
    value: function structuredClone(value) {
      if (arguments.length === 0) throw new TypeError("The \"value\" argument must be specified");
      return copy(value, new Map());
    },
    writable: true, enumerable: false, configurable: true,
  });
})
