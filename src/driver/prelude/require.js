// Node's `buffer`, for scripts that ask for it by name. There are no other modules.
(function () {
  'use strict';
  const buffer = { Buffer: globalThis.Buffer, atob: globalThis.atob, btoa: globalThis.btoa };
  Object.defineProperty(globalThis, 'require', {
    value: function require(name) {
      if (/^(node:)?buffer\/?$/.test(name)) return buffer;
      throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
    },
    writable: true, enumerable: false, configurable: true,
  });
})
