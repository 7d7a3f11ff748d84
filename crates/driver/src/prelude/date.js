// Node's parsing of dates, and its name of the time zone, which is always UTC here.
(function (natives) {
  'use strict';
  // The name `Date` in here is the replacement.
  const Native = globalThis.Date;
  const proto = Native.prototype;
  const { apply, construct } = Reflect;
  const timeOf = proto.getTime;
  const hidden = { writable: true, enumerable: false, configurable: true };

  for (const name of ['toString', 'toTimeString']) {
    const native = proto[name];
    Object.defineProperty(proto, name, {
      value: { [name]() {
        const text = native.call(this);
        return text === 'Invalid Date' ? text : text + ' (Coordinated Universal Time)';
      } }[name],
      ...hidden,
    });
  }

  // Converts an object as `new Date(value)` does: the time of a date, or a primitive value.
  function primitive(value) {
    try {
      return apply(timeOf, value, []);
    } catch {
      // Not a date.
    }
    const special = value[Symbol.toPrimitive];
    if (special !== undefined && special !== null) {
      const made = apply(special, value, ['default']);
      if (made === null || (typeof made !== 'object' && typeof made !== 'function')) return made;
    } else {
      for (const name of ['valueOf', 'toString']) {
        if (typeof value[name] !== 'function') continue;
        const made = value[name]();
        if (made === null || (typeof made !== 'object' && typeof made !== 'function')) return made;
      }
    }
    throw new TypeError('Cannot convert object to primitive value');
  }

  const { toString } = proto;
  function Date(...list) {
    if (new.target === undefined) return apply(toString, new Native(), []);
    if (list.length === 1) {
      let [value] = list;
      if (value !== null && (typeof value === 'object' || typeof value === 'function')) value = primitive(value);
      if (typeof value === 'string') value = natives.parseDate(value);
      list = [value];
    }
    return construct(Native, list, new.target);
  }
  Object.defineProperty(Date, 'length', { value: 7, writable: false, enumerable: false, configurable: true });
  Object.defineProperty(Date, 'prototype', { value: proto, writable: false, enumerable: false, configurable: false });
  Object.defineProperty(Date, 'parse', { value: { parse(text) { return natives.parseDate(`${text}`); } }.parse, ...hidden });
  for (const name of ['now', 'UTC']) Object.defineProperty(Date, name, { value: Native[name], ...hidden });
  Object.defineProperty(proto, 'constructor', { value: Date, ...hidden });
  Object.defineProperty(globalThis, 'Date', { value: Date, ...hidden });
})
