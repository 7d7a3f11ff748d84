// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
var store = {
  _t: 0, get t() { return this._t / 10; }, set t(v) { this._t = v; },
  get ['computed' + 1]() { return 'c'; }, __proto__: { inherited: 1 }, 'quoted key': 2, 3: 'three', async: 1, get: 2, set: 3, of: 4,
};
Object.defineProperty(store, 'hidden', { value: 1 });
Object.defineProperty(store, 'shown', { get: function () { return this.t; }, enumerable: true });
function decodeUplink(input) {
  store.t = input.bytes.length;
  return { data: store, more: { keys: Object.keys(store), names: Object.getOwnPropertyNames(store), hasIn: 'inherited' in store, own: store.hasOwnProperty('t'), desc: Object.getOwnPropertyDescriptor(store, 'hidden'), entries: Object.entries({ ...store }) } };
}