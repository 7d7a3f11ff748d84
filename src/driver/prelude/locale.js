// Dates and numbers for people: `toLocale...` and the part of `Intl` behind it, for some locales.
(function (natives) {
  'use strict';
  const { locales } = natives;
  const canonical = { en: 'en', de: 'de', fr: 'fr', sv: 'sv', es: 'es', it: 'it', nl: 'nl', pt: 'pt' };

  function localeOf(requested) {
    if (requested === null) throw new TypeError('Cannot convert undefined or null to object');
    const list = requested === undefined ? [] : typeof requested === 'string' ? [requested] : Array.from(requested);
    for (const tag of list) {
      if (typeof tag !== 'string' && typeof tag !== 'object') throw new TypeError('Incorrect locale information provided');
      const text = String(tag);
      if (!/^[a-z]{2,8}(-[a-z0-9]{1,8})*$/i.test(text)) throw new RangeError('Incorrect locale information provided');
      const name = text.replace(/-u-.*/, '').replace(/^([a-z]+)(?:-([a-z]{2}))?$/i, (_, language, region) => language.toLowerCase() + (region ? '-' + region.toUpperCase() : ''));
      if (Object.hasOwn(locales, name)) return name;
      if (Object.hasOwn(canonical, name.slice(0, 2)) && name[2] === '-') return name.slice(0, 2);
    }
    return 'en-US';
  }

  // Dates.

  const dateKeys = ['weekday', 'year', 'month', 'day'];
  const timeKeys = ['dayPeriod', 'hour', 'minute', 'second', 'fractionalSecondDigits'];
  const choices = {
    weekday: ['narrow', 'short', 'long'], era: ['narrow', 'short', 'long'], year: ['2-digit', 'numeric'],
    month: ['2-digit', 'numeric', 'narrow', 'short', 'long'], day: ['2-digit', 'numeric'], hour: ['2-digit', 'numeric'],
    minute: ['2-digit', 'numeric'], second: ['2-digit', 'numeric'], dateStyle: ['full', 'long', 'medium', 'short'],
    timeStyle: ['full', 'long', 'medium', 'short'], hourCycle: ['h11', 'h12', 'h23', 'h24'],
    timeZoneName: ['short', 'long', 'shortOffset', 'longOffset', 'shortGeneric', 'longGeneric'],
  };

  function zoneOf(name) {
    if (name === undefined) return { name: 'UTC' };
    const text = String(name);
    if (/^(UTC|GMT|Etc\/(UTC|GMT|UCT|Zulu|Universal|Greenwich)|UCT|Zulu|Universal)$/i.test(text)) return { name: 'UTC' };
    const found = natives.zoneName(text);
    if (!found) throw new RangeError(`Invalid time zone specified: ${text}`);
    return { name: found };
  }

  // Which zones a locale calls by letters, as its readers do: the others are an offset.
  const lettered = {
    'en-US': /^(EST|EDT|CST|CDT|MST|MDT|PST|PDT|AKST|AKDT|HST)$/,
    'en-GB': /^(GMT|BST|WET|WEST|CET|CEST|EET|EEST)$/,
    'de-DE': /^(CET|CEST|EET|EEST|WET|WEST)$/,
  };
  const american = /^(America|US|Pacific\/Honolulu|EST5EDT|CST6CDT|MST7MDT|PST8PDT)/;
  const german = { CET: 'MEZ', CEST: 'MESZ', EET: 'OEZ', EEST: 'OESZ', WET: 'WEZ', WEST: 'WESZ' };

  function zoneText(o, milliseconds) {
    const { zone, data, timeZoneName } = o;
    if (zone.name === 'UTC') return timeZoneName === 'long' ? data.zone : timeZoneName.endsWith('Offset') ? data.gmt ?? 'GMT' : 'UTC';
    const seconds = natives.zoneOffset(zone.name, milliseconds);
    const letters = natives.zoneLetters(zone.name, milliseconds);
    const language = data === locales['en-US'] ? 'en-US' : data === locales['en-GB'] ? 'en-GB' : data === locales['de-DE'] ? 'de-DE' : '';
    const known = Object.hasOwn(lettered, language) && lettered[language].test(letters) && (language !== 'en-US' || american.test(zone.name));
    if (known && timeZoneName === 'short') return language === 'de-DE' ? german[letters] : letters;
    const minutes = Math.abs(seconds) / 60;
    const hours = Math.trunc(minutes / 60);
    const rest = Math.trunc(minutes % 60);
    const long = timeZoneName.startsWith('long');
    const offset = long ? `${two(hours)}:${two(rest)}` : rest ? `${hours}:${two(rest)}` : `${hours}`;
    const name = data.gmt ?? 'GMT';
    return seconds === 0 ? name : name + (seconds < 0 ? data.minus ?? '-' : '+') + offset;
  }

  function resolveDate(requested, given, required, defaults) {
    const options = given === undefined ? {} : Object(given);
    const locale = localeOf(requested);
    const chosen = { locale, data: locales[locale], zone: zoneOf(options.timeZone) };
    for (const key in choices) {
      const value = options[key];
      if (value === undefined) continue;
      const text = String(value);
      if (!choices[key].includes(text)) throw new RangeError(`Value ${text} out of range for Intl.DateTimeFormat options property ${key}`);
      chosen[key] = text;
    }
    if (options.fractionalSecondDigits !== undefined) chosen.fractionalSecondDigits = +options.fractionalSecondDigits;
    const explicit = [...dateKeys, ...timeKeys].some((key) => chosen[key] !== undefined);
    if (chosen.dateStyle || chosen.timeStyle) {
      if (explicit) throw new TypeError(`Can't set option ${[...dateKeys, ...timeKeys].find((key) => chosen[key])} when ${chosen.dateStyle ? 'dateStyle' : 'timeStyle'} is used`);
      if (required === 'date' && chosen.timeStyle) throw new TypeError('Invalid option : timeStyle');
      if (required === 'time' && chosen.dateStyle) throw new TypeError('Invalid option : dateStyle');
    } else {
      const has = (keys) => keys.some((key) => chosen[key] !== undefined);
      const missing = (required === 'date' && !has(dateKeys)) || (required === 'time' && !has(timeKeys)) || (required === 'any' && !explicit);
      if (missing && (defaults === 'date' || defaults === 'all')) chosen.year = chosen.month = chosen.day = 'numeric';
      if (missing && (defaults === 'time' || defaults === 'all')) chosen.hour = chosen.minute = chosen.second = 'numeric';
    }
    if (options.hour12 !== undefined) chosen.cycle = options.hour12 ? 'h12' : chosen.data.hour12 ? 'h24' : 'h23';
    else chosen.cycle = chosen.hourCycle ?? (chosen.data.hour12 ? 'h12' : 'h23');
    return chosen;
  }

  const two = (value) => String(value).padStart(2, '0');

  function dateText(o, t) {
    const data = o.data;
    let { weekday, year, month, day } = o;
    if (o.dateStyle) {
      year = 'numeric';
      day = 'numeric';
      if (o.dateStyle === 'full') weekday = 'long';
      month = o.dateStyle === 'medium' ? 'short' : 'long';
      if (o.dateStyle === 'short' || (o.dateStyle === 'medium' && data.mediumNumeric)) {
        [day, month, year] = data.shortDate;
        if (data.mediumNumeric) year = o.dateStyle === 'medium' ? 'numeric' : '2-digit';
      }
    }
    const names = (style, long, short, index) => (style === 'long' ? long[index] : style === 'short' ? short[index] : long[index][0].toUpperCase());
    const weekdayName = weekday && names(weekday, data.days, data.shortDays, t.getUTCDay());
    const yearText = year && (year === '2-digit' ? two(t.getUTCFullYear() % 100) : String(t.getUTCFullYear()));
    const textual = month === 'long' || month === 'short' || month === 'narrow';
    const dayText = day && (day === '2-digit' ? two(t.getUTCDate()) : String(t.getUTCDate()));
    if (textual || (weekday && !month && !year)) {
      const monthName = textual && names(month, data.months, data.shortMonths, t.getUTCMonth());
      if (!textual && dayText) return data.order === 'mdy' ? `${dayText} ${weekdayName}` : `${weekdayName} ${dayText}`;
      return data.text({ long: month === 'long', weekday: weekdayName, year: yearText, month: monthName, day: dayText });
    }
    const pad = (style, value) => style && (style === '2-digit' || (data.padded && year && month && day) ? two(value) : String(value));
    const parts = { d: pad(day, t.getUTCDate()), m: pad(month, t.getUTCMonth() + 1), y: yearText };
    const numbers = [...data.order].map((key) => parts[key]).filter(Boolean);
    let text = numbers.join(data.separator);
    if (data.separator === '.' && numbers.length > 0 && !year && month && day) text += '.';
    return weekdayName ? weekdayName + data.weekdayJoin + text : text;
  }

  function timeText(o, t, milliseconds) {
    let { hour, minute, second, timeZoneName } = o;
    if (o.timeStyle) {
      hour = 'numeric';
      minute = '2-digit';
      if (o.timeStyle !== 'short') second = '2-digit';
      if (o.timeStyle === 'long') timeZoneName = 'short';
      if (o.timeStyle === 'full') timeZoneName = 'long';
    }
    const parts = [];
    const halves = o.cycle === 'h12' || o.cycle === 'h11';
    if (hour) {
      let hours = t.getUTCHours();
      if (o.cycle === 'h12') hours = hours % 12 || 12;
      else if (o.cycle === 'h11') hours %= 12;
      else if (o.cycle === 'h24') hours = hours || 24;
      parts.push(hour === '2-digit' || !(halves || o.data.plainHour) ? two(hours) : String(hours));
    }
    if (minute) parts.push(hour || second ? two(t.getUTCMinutes()) : String(t.getUTCMinutes()));
    if (second) parts.push(minute ? two(t.getUTCSeconds()) : String(t.getUTCSeconds()));
    let text = parts.join(':');
    if (o.fractionalSecondDigits) {
      const digits = String(t.getUTCMilliseconds()).padStart(3, '0').slice(0, o.fractionalSecondDigits);
      text += text ? o.data.decimal + digits : digits;
    }
    if (hour && halves) text += ' ' + o.data.halves[t.getUTCHours() < 12 ? 0 : 1];
    else if (hour && !minute && o.data.hourSuffix) text += o.data.hourSuffix;
    if (timeZoneName) text += (text ? ' ' : '') + zoneText({ ...o, timeZoneName }, milliseconds);
    return text;
  }

  function formatDate(o, milliseconds) {
    const t = new Date(o.zone.name === 'UTC' ? milliseconds : milliseconds + natives.zoneOffset(o.zone.name, milliseconds) * 1000);
    const wanted = (keys, style) => o[style] || keys.some((key) => o[key] !== undefined);
    const hasDate = wanted(dateKeys, 'dateStyle');
    const hasTime = wanted(timeKeys, 'timeStyle') || o.timeZoneName;
    if (!hasTime) return dateText(o, t);
    if (!hasDate) return timeText(o, t, milliseconds);
    const long = o.dateStyle ? o.dateStyle === 'full' || o.dateStyle === 'long' : o.month === 'long';
    const clock = timeKeys.some((key) => o[key] !== undefined) || o.timeStyle;
    const alone = o.weekday && !o.year && !o.month && !o.day;
    const short = o.dateStyle === 'medium' || o.month === 'short';
    return dateText(o, t) + (alone ? ' ' : long && clock ? o.data.longJoin : short && o.data.shortJoin ? o.data.shortJoin : o.data.join) + timeText(o, t, milliseconds);
  }

  const timeOf = Date.prototype.getTime;
  const define = (target, name, value) => Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  for (const [name, required, defaults] of [
    ['toLocaleString', 'any', 'all'],
    ['toLocaleDateString', 'date', 'date'],
    ['toLocaleTimeString', 'time', 'time'],
  ]) {
    define(Date.prototype, name, { [name](locale, options) {
      const milliseconds = timeOf.call(this);
      return Number.isNaN(milliseconds) ? 'Invalid Date' : formatDate(resolveDate(locale, options, required, defaults), milliseconds);
    } }[name]);
  }

  // Numbers.

  function digitsOf(name, value, min, max, fallback) {
    if (value === undefined) return fallback;
    const number = Number(value);
    if (!(number >= min && number <= max)) throw new RangeError(`${name} value is out of range.`);
    return Math.floor(number);
  }

  function resolveNumber(requested, given) {
    const options = given === undefined ? {} : Object(given);
    const locale = localeOf(requested);
    const style = options.style === undefined ? 'decimal' : String(options.style);
    if (!['decimal', 'percent', 'currency', 'unit'].includes(style)) throw new RangeError(`Value ${style} out of range for Intl.NumberFormat options property style`);
    if (style === 'currency' || style === 'unit') throw new RangeError(`style ${style} is not available to drivers`);
    const significant = options.minimumSignificantDigits !== undefined || options.maximumSignificantDigits !== undefined;
    const resolved = { locale, data: locales[locale], style, grouping: options.useGrouping === undefined || (options.useGrouping !== 'false' && !!options.useGrouping) };
    resolved.minimumIntegerDigits = digitsOf('minimumIntegerDigits', options.minimumIntegerDigits, 1, 21, 1);
    if (significant) {
      resolved.minimumSignificantDigits = digitsOf('minimumSignificantDigits', options.minimumSignificantDigits, 1, 21, 1);
      resolved.maximumSignificantDigits = digitsOf('maximumSignificantDigits', options.maximumSignificantDigits, resolved.minimumSignificantDigits, 21, 21);
      return resolved;
    }
    const most = style === 'percent' ? 0 : 3;
    const min = digitsOf('minimumFractionDigits', options.minimumFractionDigits, 0, 20);
    const max = digitsOf('maximumFractionDigits', options.maximumFractionDigits, 0, 20);
    if (min !== undefined && max !== undefined && min > max) throw new RangeError('maximumFractionDigits value is out of range.');
    resolved.minimumFractionDigits = min ?? Math.min(0, max ?? 0);
    resolved.maximumFractionDigits = max ?? Math.max(most, resolved.minimumFractionDigits);
    return resolved;
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
    return (all.slice(0, at).replace(/^0+(?=\d)/, '') + '.' + all.slice(at)).replace(/\.$/, '');
  }

  // Rounds to so many digits that count.
  function significant(value, o) {
    const text = digitsIn(value, o);
    const [whole, fraction = ''] = text.split('.');
    const leading = whole === '0' ? -/^0*/.exec(fraction)[0].length : whole.length;
    const digits = o.maximumSignificantDigits - leading;
    const [kept, rest] = digits >= 0 ? rounded(text, digits) : [rounded(whole.slice(0, digits) + '.' + whole.slice(digits), 0)[0] + '0'.repeat(-digits), ''];
    return [kept, rest.replace(/0+$/, '')];
  }

  // Shortest digits without an exponent.
  function plain(value) {
    const [mantissa, exponent] = String(value).split('e');
    if (exponent === undefined) return mantissa;
    const [whole, fraction = ''] = mantissa.split('.');
    const shift = Number(exponent);
    if (shift < 0) return '0.' + (whole + fraction).padStart(whole.length + fraction.length - shift - whole.length, '0').padStart(fraction.length - shift, '0');
    return whole + fraction.padEnd(shift, '0');
  }

  function formatNumber(o, value) {
    const big = typeof value === 'bigint';
    if (!big) value = Number(value);
    if (Number.isNaN(value)) return 'NaN' + (o.style === 'percent' ? o.data.percent : '');
    const negative = value < 0 || Object.is(value, -0);
    let absolute = negative ? -value : value;
    let text;
    if (absolute === Infinity) {
      text = '\u221e';
    } else {
      let whole;
      let fraction;
      if (o.maximumSignificantDigits !== undefined) {
        [whole, fraction] = significant(absolute, o);
        const count = (whole === '0' ? fraction.replace(/^0+/, '') : whole + fraction).length;
        fraction = fraction.padEnd(fraction.length + Math.max(0, o.minimumSignificantDigits - Math.max(1, count)), '0');
      } else {
        [whole, fraction] = rounded(digitsIn(absolute, o), o.maximumFractionDigits);
        fraction = fraction.replace(/0+$/, '').padEnd(o.minimumFractionDigits, '0');
      }
      whole = whole.padStart(o.minimumIntegerDigits, '0');
      if (o.grouping && whole.length >= (o.data.grouped ?? 4)) whole = whole.replace(/\B(?=(\d{3})+$)/g, o.data.group);
      text = fraction ? whole + o.data.decimal + fraction : whole;
    }
    return (negative ? '-' : '') + text + (o.style === 'percent' ? o.data.percent : '');
  }

  const numberOf = Number.prototype.valueOf;
  const bigOf = BigInt.prototype.valueOf;
  define(Number.prototype, 'toLocaleString', function toLocaleString(locale, options) {
    return formatNumber(resolveNumber(locale, options), numberOf.call(this));
  });
  define(BigInt.prototype, 'toLocaleString', function toLocaleString(locale, options) {
    return formatNumber(resolveNumber(locale, options), bigOf.call(this));
  });

  // Intl.

  class DateTimeFormat {
    #options;
    constructor(locale, options) {
      this.#options = resolveDate(locale, options, 'any', 'date');
      this.format = (date) => {
        const milliseconds = date === undefined ? Date.now() : Number(date);
        if (!Number.isFinite(milliseconds)) throw new RangeError('Invalid time value');
        return formatDate(this.#options, milliseconds);
      };
      define(this, 'format', this.format);
    }
    resolvedOptions() {
      return { locale: this.#options.locale, calendar: 'gregory', numberingSystem: 'latn', timeZone: this.#options.zone.name };
    }
    static supportedLocalesOf(list) { return [].concat(list ?? []).filter((tag) => Object.hasOwn(locales, tag)); }
  }

  class NumberFormat {
    #options;
    constructor(locale, options) {
      this.#options = resolveNumber(locale, options);
      define(this, 'format', (value) => formatNumber(this.#options, value));
    }
    resolvedOptions() {
      const { data, grouping, ...rest } = this.#options;
      return { ...rest, numberingSystem: 'latn' };
    }
    static supportedLocalesOf(list) { return [].concat(list ?? []).filter((tag) => Object.hasOwn(locales, tag)); }
  }

  const callable = (Class) => new Proxy(Class, { apply: (target, _, list) => new target(...list) });
  define(globalThis, 'Intl', { DateTimeFormat: callable(DateTimeFormat), NumberFormat: callable(NumberFormat) });
})
