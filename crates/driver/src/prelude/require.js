// Node's `buffer`, for scripts that ask for it by name. There are no other modules.
(function (natives) {
  'use strict';
  const known = /^(node:)?buffer\/?$/;
  natives.quiet?.(known);
  const buffer = { Buffer: globalThis.Buffer, atob: globalThis.atob, btoa: globalThis.btoa };
  Object.defineProperty(globalThis, 'require', {
    value: function require(name) {
      if (known.test(name)) return buffer;
      throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
    },
    writable: true, enumerable: false, configurable: true,
  });
})
