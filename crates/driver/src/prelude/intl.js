// `Intl`: what there is of it, and names for the rest, so that a driver is told what it lacks.
(function (natives) {
  'use strict';
  const { define, unavailable } = natives;
  const callable = (Class) => new Proxy(Class, { apply: (target, _, list) => new target(...list) });
  const Intl = {};
  define(globalThis, 'Intl', Intl);
  for (const name of ['Collator', 'DateTimeFormat', 'NumberFormat']) define(Intl, name, callable(natives[name]));
  for (const name of ['DisplayNames', 'DurationFormat', 'ListFormat', 'Locale', 'PluralRules', 'RelativeTimeFormat', 'Segmenter']) {
    define(Intl, name, { [name]: function () { unavailable(`Intl.${name}`); } }[name]);
  }
  for (const name of ['getCanonicalLocales', 'supportedValuesOf']) {
    define(Intl, name, { [name]() { unavailable(`Intl.${name}`); } }[name]);
  }
  // The engine's own hands no locale on to what is in the list.
  for (const proto of [Array.prototype, Object.getPrototypeOf(Uint8Array.prototype)]) {
    define(proto, 'toLocaleString', function toLocaleString(locale, options) {
      return Array.from(this, (item) => (item == null ? '' : item.toLocaleString(locale, options))).join(',');
    });
  }
  Object.defineProperty(Intl, Symbol.toStringTag, { value: 'Intl', writable: false, enumerable: false, configurable: true });
})
