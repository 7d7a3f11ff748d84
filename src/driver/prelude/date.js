// What Node's Date says of its time zone, which is always UTC here.
(function () {
  'use strict';
  const proto = Date.prototype;
  for (const name of ['toString', 'toTimeString']) {
    const native = proto[name];
    Object.defineProperty(proto, name, {
      value: { [name]() {
        const text = native.call(this);
        return text === 'Invalid Date' ? text : text + ' (Coordinated Universal Time)';
      } }[name],
      writable: true, enumerable: false, configurable: true,
    });
  }
})
