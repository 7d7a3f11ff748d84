// Comparing text as people sort it, in English: letters before case, and both before code points.
(function () {
  'use strict';
  const groups = '_-,;:!?.\'"()[]{}@*/\\&#%`^+<=>|~$';
  const collate = (text) => {
    const base = [];
    const marks = [];
    const cases = [];
    for (const character of text.normalize('NFD')) {
      if (/\p{M}/u.test(character)) {
        marks.push(character);
        continue;
      }
      const lower = character.toLowerCase();
      const group = /\s/.test(character) ? 0 : groups.includes(character) ? 1 : /\p{N}/u.test(character) ? 2 : 3;
      base.push([group, group === 1 ? groups.indexOf(character) : lower.codePointAt(0)]);
      marks.push('');
      cases.push(character === lower ? 0 : 1);
    }
    return { base, marks, cases };
  };
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  function lists(a, b, compare) {
    for (let i = 0; i < a.length && i < b.length; i++) {
      const result = compare(a[i], b[i]);
      if (result) return result;
    }
    return order(a.length, b.length);
  }
  Object.defineProperty(String.prototype, 'localeCompare', {
    value: function localeCompare(other) {
      const a = collate(String(this));
      const b = collate(String(other));
      return lists(a.base, b.base, (x, y) => order(x[0], y[0]) || order(x[1], y[1])) || lists(a.marks, b.marks, order) || lists(a.cases, b.cases, order);
    },
    writable: true, enumerable: false, configurable: true,
  });
})
