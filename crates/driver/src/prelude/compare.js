// Comparing text as people sort it: letters before case, and both before code points. The order is that
// of English and of the languages that sort like it; the others are an error.
(function (natives) {
  'use strict';
  const { chosen, define, unavailable } = natives;
  const quiet = natives.quiet ?? ((pattern) => pattern);
  const mark = quiet(/\p{M}/u);
  const space = quiet(/\s/);
  const digit = quiet(/\p{N}/u);
  const groups = '_-,;:!?.\'"()[]{}@*/\\&#%`^+<=>|~$';
  const sortedAlike = ['en', 'de', 'fr', 'it', 'nl', 'pt'];

  function collate(text, numeric) {
    const base = [];
    const marks = [];
    const cases = [];
    let number = null;
    for (const character of text.normalize('NFD')) {
      if (mark.test(character)) {
        marks.push(character);
        continue;
      }
      // A row of digits is one number, whatever zeros it begins with.
      if (numeric && character >= '0' && character <= '9') {
        if (number === null) {
          number = [2, 0, ''];
          base.push(number);
          marks.push('');
          cases.push(0);
        }
        if (number[2] !== '' || character !== '0') {
          number[1]++;
          number[2] += character;
        }
        continue;
      }
      number = null;
      const lower = character.toLowerCase();
      const group = space.test(character) ? 0 : groups.includes(character) ? 1 : digit.test(character) ? 2 : 3;
      base.push([group, group === 1 ? groups.indexOf(character) : lower.codePointAt(0), '']);
      marks.push('');
      cases.push(character === lower ? 0 : 1);
    }
    return { base, marks, cases };
  }

  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  function lists(a, b, compare) {
    for (let i = 0; i < a.length && i < b.length; i++) {
      const result = compare(a[i], b[i]);
      if (result) return result;
    }
    return order(a.length, b.length);
  }

  function resolve(locale, given) {
    const options = given === undefined ? {} : Object(given);
    const { name } = natives.localeOf(locale);
    if (!sortedAlike.includes(name.slice(0, 2)) || name === 'fr-CA') unavailable(`sorting in the locale ${name}`);
    natives.onlyPlain(options, { usage: 'sort', ignorePunctuation: false, caseFirst: 'false', collation: 'default' }, 'Collator');
    return {
      name, numeric: options.numeric === undefined ? false : !!options.numeric,
      sensitivity: chosen(options, 'sensitivity', ['base', 'accent', 'case', 'variant'], 'Collator', 'variant'),
    };
  }

  function compare(o, one, other) {
    const a = collate(one, o.numeric);
    const b = collate(other, o.numeric);
    const { sensitivity } = o;
    return lists(a.base, b.base, (x, y) => order(x[0], y[0]) || order(x[1], y[1]) || order(x[2], y[2]))
      || (sensitivity !== 'base' && sensitivity !== 'case' && lists(a.marks, b.marks, order))
      || (sensitivity !== 'base' && sensitivity !== 'accent' && lists(a.cases, b.cases, order))
      || 0;
  }

  const usual = { numeric: false, sensitivity: 'variant' };
  define(String.prototype, 'localeCompare', function localeCompare(other, locale, options) {
    const o = locale === undefined && options === undefined ? usual : resolve(locale, options);
    return compare(o, String(this), String(other));
  });

  natives.Collator = class Collator {
    #options;
    constructor(locale, options) {
      this.#options = resolve(locale, options);
      define(this, 'compare', (one, other) => compare(this.#options, String(one), String(other)));
    }
    resolvedOptions() {
      const { name, numeric, sensitivity } = this.#options;
      return { locale: name, usage: 'sort', sensitivity, ignorePunctuation: false, collation: 'default', numeric, caseFirst: 'false' };
    }
    static supportedLocalesOf(list) { return natives.supported(list); }
  };
})
