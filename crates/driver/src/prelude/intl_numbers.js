// Numbers for people: `toLocaleString` of a number, and `Intl.NumberFormat`.
(function (natives) {
  'use strict';
  const { unavailable, chosen, define } = natives;
  const quiet = natives.quiet ?? ((pattern) => pattern);
  const zerosBefore = quiet(/^0+(?=\d)/);
  const zerosAhead = quiet(/^0*/);
  const zerosBehind = quiet(/0+$/);
  const pointBehind = quiet(/\.$/);

  function digitsOf(name, value, min, max, fallback) {
    if (value === undefined) return fallback;
    const number = Number(value);
    if (!(number >= min && number <= max)) throw new RangeError(`${name} value is out of range.`);
    return Math.floor(number);
  }

  function groupingOf(value) {
    if (value === undefined) return 'auto';
    if (value === true || value === 'true' || value === 'always') return 'always';
    if (value === false || value === 'false' || value === null || value === 0 || value === '') return false;
    const text = String(value);
    if (text === 'auto' || text === 'min2') return text;
    throw new RangeError(`Value ${text} out of range for Intl.NumberFormat options property useGrouping`);
  }

  function resolve(requested, given) {
    const options = given === undefined ? {} : Object(given);
    const { name, found } = natives.localeOf(requested);
    const style = chosen(options, 'style', ['decimal', 'percent', 'currency', 'unit'], 'NumberFormat', 'decimal');
    if (style === 'currency' || style === 'unit') unavailable(`Intl.NumberFormat with style ${style}`);
    natives.onlyPlain(options, {
      notation: 'standard', numberingSystem: 'latn', roundingMode: 'halfExpand', roundingIncrement: 1,
      trailingZeroDisplay: 'auto', roundingPriority: 'auto',
    }, 'NumberFormat');
    const o = { name, found, style, minimumIntegerDigits: digitsOf('minimumIntegerDigits', options.minimumIntegerDigits, 1, 21, 1) };
    o.useGrouping = groupingOf(options.useGrouping);
    o.signDisplay = chosen(options, 'signDisplay', ['auto', 'never', 'always', 'exceptZero', 'negative'], 'NumberFormat', 'auto');
    if (options.minimumSignificantDigits !== undefined || options.maximumSignificantDigits !== undefined) {
      o.minimumSignificantDigits = digitsOf('minimumSignificantDigits', options.minimumSignificantDigits, 1, 21, 1);
      o.maximumSignificantDigits = digitsOf('maximumSignificantDigits', options.maximumSignificantDigits, o.minimumSignificantDigits, 21, 21);
      return o;
    }
    const most = style === 'percent' ? 0 : 3;
    const min = digitsOf('minimumFractionDigits', options.minimumFractionDigits, 0, 20);
    const max = digitsOf('maximumFractionDigits', options.maximumFractionDigits, 0, 20);
    if (min !== undefined && max !== undefined && min > max) throw new RangeError('maximumFractionDigits value is out of range.');
    o.minimumFractionDigits = min ?? Math.min(0, max ?? 0);
    o.maximumFractionDigits = max ?? Math.max(most, o.minimumFractionDigits);
    return o;
  }

  // Rounds decimal digits half away from zero: `digits` after the point.
  function rounded(value, digits) {
    const [whole, fraction = ''] = value.split('.');
    if (fraction.length <= digits) return [whole, fraction];
    const kept = BigInt(whole + fraction.slice(0, digits)) + (fraction[digits] >= '5' ? 1n : 0n);
    const text = String(kept).padStart(digits + 1, '0');
    return digits === 0 ? [text, ''] : [text.slice(0, -digits), text.slice(-digits)];
  }

  // The digits of a number, or of its hundredfold where it is a percentage.
  function digitsIn(value, o) {
    const text = plain(value);
    if (o.style !== 'percent') return text;
    const [whole, fraction = ''] = text.split('.');
    const all = whole + fraction.padEnd(2, '0');
    const at = whole.length + 2;
    return (all.slice(0, at).replace(zerosBefore, '') + '.' + all.slice(at)).replace(pointBehind, '');
  }

  // Rounds to so many digits that count.
  function significant(value, o) {
    const text = digitsIn(value, o);
    const [whole, fraction = ''] = text.split('.');
    const leading = whole === '0' ? -zerosAhead.exec(fraction)[0].length : whole.length;
    const digits = o.maximumSignificantDigits - leading;
    const [kept, rest] = digits >= 0 ? rounded(text, digits) : [rounded(whole.slice(0, digits) + '.' + whole.slice(digits), 0)[0] + '0'.repeat(-digits), ''];
    return [kept, rest.replace(zerosBehind, '')];
  }

  // Shortest digits without an exponent.
  function plain(value) {
    const [mantissa, exponent] = String(value).split('e');
    if (exponent === undefined) return mantissa;
    const [whole, fraction = ''] = mantissa.split('.');
    const shift = Number(exponent);
    if (shift < 0) return '0.' + '0'.repeat(-shift - whole.length) + whole + fraction;
    return whole + fraction.padEnd(shift, '0');
  }

  function digits(o, absolute) {
    let whole;
    let fraction;
    if (o.maximumSignificantDigits !== undefined) {
      [whole, fraction] = significant(absolute, o);
      const count = (whole === '0' ? fraction.replace(zerosAhead, '') : whole + fraction).length;
      fraction = fraction.padEnd(fraction.length + Math.max(0, o.minimumSignificantDigits - Math.max(1, count)), '0');
    } else {
      [whole, fraction] = rounded(digitsIn(absolute, o), o.maximumFractionDigits);
      fraction = fraction.replace(zerosBehind, '').padEnd(o.minimumFractionDigits, '0');
    }
    return [whole.padStart(o.minimumIntegerDigits, '0'), fraction];
  }

  // The digits before the point, in groups as the locale has them.
  function groups(o, info, whole) {
    const from = o.useGrouping === 'always' ? info.last + 1 : o.useGrouping === 'min2' ? info.last + 2 : info.from;
    if (!o.useGrouping || whole.length < from) return [whole];
    const found = [];
    let end = whole.length;
    for (let size = info.last; end > 0; size = info.others) {
      found.unshift(whole.slice(Math.max(0, end - size), end));
      end -= size;
    }
    return found;
  }

  function numberParts(o, info, absolute) {
    if (Number.isNaN(absolute)) return [['nan', info.nan]];
    if (absolute === Infinity) return [['infinity', info.infinity]];
    const [whole, fraction] = digits(o, absolute);
    const parts = [];
    for (const group of groups(o, info, whole)) {
      if (parts.length > 0) parts.push(['group', info.group]);
      parts.push(['integer', group]);
    }
    if (fraction) parts.push(['decimal', info.decimal], ['fraction', fraction]);
    return parts;
  }

  const zeros = quiet(/^0+$/);
  function parts(o, value) {
    const info = natives.localeInfo(o.found).number;
    if (typeof value !== 'bigint') value = Number(value);
    const isNegative = value < 0 || Object.is(value, -0);
    const number = numberParts(o, info, isNegative ? -value : value);
    const isZero = number.every(([type, text]) => type === 'nan' || (type !== 'infinity' && (type === 'group' || type === 'decimal' || zeros.test(text))));
    let sign = isNegative ? 'negative' : '';
    if (o.signDisplay === 'never') sign = '';
    else if (o.signDisplay === 'always') sign ||= 'positive';
    else if (o.signDisplay === 'exceptZero') sign = isZero ? '' : sign || 'positive';
    else if (o.signDisplay === 'negative' && isZero) sign = '';
    const around = o.style === 'percent' ? info[sign ? `${sign}Percent` : 'percent'] : sign ? info[sign] : [[], []];
    return [...around[0], ...number, ...around[1]].map(([type, text]) => ({ type, value: text }));
  }

  const format = (o, value) => parts(o, value).map((part) => part.value).join('');

  const numberOf = Number.prototype.valueOf;
  const bigOf = BigInt.prototype.valueOf;
  define(Number.prototype, 'toLocaleString', function toLocaleString(locale, options) {
    return format(resolve(locale, options), numberOf.call(this));
  });
  define(BigInt.prototype, 'toLocaleString', function toLocaleString(locale, options) {
    return format(resolve(locale, options), bigOf.call(this));
  });

  natives.NumberFormat = class NumberFormat {
    #options;
    constructor(locale, options) {
      this.#options = resolve(locale, options);
      define(this, 'format', (value) => format(this.#options, value));
    }
    formatToParts(value) { return parts(this.#options, value); }
    formatRange() { unavailable('Intl.NumberFormat.prototype.formatRange'); }
    formatRangeToParts() { unavailable('Intl.NumberFormat.prototype.formatRangeToParts'); }
    resolvedOptions() {
      const { name, found, style, signDisplay, useGrouping, ...counts } = this.#options;
      return {
        locale: name, numberingSystem: 'latn', style, ...counts, useGrouping, notation: 'standard', signDisplay,
        roundingMode: 'halfExpand', roundingIncrement: 1, trailingZeroDisplay: 'auto', roundingPriority: 'auto',
      };
    }
    static supportedLocalesOf(list) { return natives.supported(list); }
  };
})
