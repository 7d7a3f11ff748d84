// Dates for people: `toLocale...String` of a date, and `Intl.DateTimeFormat`.
(function (natives) {
  'use strict';
  const { unavailable, chosen, define } = natives;
  const dateKeys = ['weekday', 'year', 'month', 'day'];
  const timeKeys = ['dayPeriod', 'hour', 'minute', 'second', 'fractionalSecondDigits'];
  const styles = ['full', 'long', 'medium', 'short'];
  const choices = {
    weekday: ['narrow', 'short', 'long'], era: ['narrow', 'short', 'long'], year: ['2-digit', 'numeric'],
    month: ['2-digit', 'numeric', 'narrow', 'short', 'long'], day: ['2-digit', 'numeric'],
    dayPeriod: ['narrow', 'short', 'long'], hour: ['2-digit', 'numeric'],
    minute: ['2-digit', 'numeric'], second: ['2-digit', 'numeric'], dateStyle: styles, timeStyle: styles,
    hourCycle: ['h11', 'h12', 'h23', 'h24'],
    timeZoneName: ['short', 'long', 'shortOffset', 'longOffset', 'shortGeneric', 'longGeneric'],
  };
  const types = {
    y: 'year', M: 'month', L: 'month', d: 'day', E: 'weekday', h: 'hour', m: 'minute', s: 'second',
    S: 'fractionalSecond', a: 'dayPeriod', z: 'timeZoneName',
  };
  const two = (value) => String(value).padStart(2, '0');

  // Time zones.

  const universal = ['utc', 'gmt', 'etc/utc', 'etc/gmt', 'etc/uct', 'etc/zulu', 'etc/universal', 'etc/greenwich', 'uct', 'zulu', 'universal'];
  function zoneOf(value) {
    if (value === undefined) return 'UTC';
    const text = String(value);
    if (universal.includes(text.toLowerCase())) return 'UTC';
    const found = natives.zoneName(text);
    if (!found) throw new RangeError(`Invalid time zone specified: ${text}`);
    return found;
  }

  const january = Date.UTC(2024, 0, 15, 12);
  const july = Date.UTC(2024, 6, 15, 12);
  function letters(o, seconds) {
    const [winter, summer] = natives.localeZone(o.found, o.zone).split('|');
    if (seconds === natives.zoneOffset(o.zone, january)) return winter;
    return seconds === natives.zoneOffset(o.zone, july) ? summer : '';
  }

  function zoneText(o, milliseconds) {
    const style = o.zoneStyle;
    const info = natives.localeInfo(o.found);
    if (o.zone === 'UTC') return info.utc[style];
    if (style !== 'short' && style !== 'shortOffset' && style !== 'longOffset') {
      unavailable(`the ${style} name of the time zone ${o.zone}`);
    }
    const seconds = natives.zoneOffset(o.zone, milliseconds);
    const known = style === 'short' && letters(o, seconds);
    if (known) return known;
    const size = style === 'longOffset' ? 'long' : 'short';
    if (seconds === 0 && size === 'short') return info.zero;
    const [before, between, after] = info.offsets[size + (seconds < 0 ? 'Minus' : 'Plus')];
    const minutes = Math.trunc(Math.abs(seconds) / 60);
    const [rest, odd] = [minutes % 60, Math.abs(seconds) % 60];
    const hours = String(Math.trunc(minutes / 60)).padStart(info.offsets[size + 'Hour'], '0');
    // Local times of before there were zones have seconds.
    return before + hours + (rest || odd || size === 'long' ? between + two(rest) : '') + (odd ? between + two(odd) : '') + after;
  }

  // The resolution of locale and options.

  function resolve(requested, given, required, defaults) {
    const options = given === undefined ? {} : Object(given);
    const { name, found } = natives.localeOf(requested);
    const o = { name, found };
    for (const key in choices) o[key] = chosen(options, key, choices[key], 'DateTimeFormat');
    o.zone = zoneOf(options.timeZone);
    natives.onlyPlain(options, { calendar: 'gregory', numberingSystem: 'latn' }, 'DateTimeFormat');
    if (options.fractionalSecondDigits !== undefined) {
      const digits = Number(options.fractionalSecondDigits);
      if (!(digits >= 1 && digits <= 3)) throw new RangeError('fractionalSecondDigits value is out of range.');
      o.fractionalSecondDigits = Math.floor(digits);
    }
    const has = (keys) => keys.some((key) => o[key] !== undefined);
    const explicit = has(dateKeys) || has(timeKeys);
    if (o.dateStyle || o.timeStyle) {
      if (explicit || o.timeZoneName) {
        const key = [...dateKeys, ...timeKeys, 'timeZoneName'].find((one) => o[one] !== undefined);
        throw new TypeError(`Can't set option ${key} when ${o.dateStyle ? 'dateStyle' : 'timeStyle'} is used`);
      }
      if (required === 'date' && o.timeStyle) throw new TypeError('Invalid option : timeStyle');
      if (required === 'time' && o.dateStyle) throw new TypeError('Invalid option : dateStyle');
    } else {
      const missing = (required === 'date' && !has(dateKeys)) || (required === 'time' && !has(timeKeys)) || (required === 'any' && !explicit);
      if (missing && (defaults === 'date' || defaults === 'all')) o.year = o.month = o.day = 'numeric';
      if (missing && (defaults === 'time' || defaults === 'all')) o.hour = o.minute = o.second = 'numeric';
    }
    for (const key of ['era', 'dayPeriod']) if (o[key]) unavailable(`Intl.DateTimeFormat with ${key}`);
    const info = natives.localeInfo(found);
    const half = options.hour12 === undefined ? undefined : !!options.hour12;
    o.clock = half === undefined ? o.hourCycle ?? '' : half ? 't' : 'f';
    o.cycle = half === undefined ? o.hourCycle ?? info.cycle : half ? info.cycle12 : info.cycle24;
    o.zoneStyle = o.timeZoneName ?? (o.timeStyle === 'full' ? 'long' : 'short');
    o.tokens = tokensOf(o.dateStyle || o.timeStyle ? styled(o) : composed(o));
    return o;
  }

  const text = (o, kind, key) => natives.localeText(o.found, kind, key);
  const timed = (o, kind, key) => text(o, kind, key + o.clock) ?? text(o, kind, key);

  function styled(o) {
    if (!o.timeStyle) return text(o, 'dateStyles', o.dateStyle);
    return o.dateStyle ? timed(o, 'styles', `${o.dateStyle} ${o.timeStyle}`) : timed(o, 'timeStyles', o.timeStyle);
  }

  // The tables have only what differs from the locale's own clock, and from a zone that is called by letters.
  function clockText(o, key) {
    const clock = key + (o.hour ? o.clock : '');
    return text(o, 'times', clock + (o.timeZoneName ?? '')) ?? text(o, 'times', clock) ?? text(o, 'times', key);
  }

  const initial = (value) => (value === undefined ? '-' : value === 'narrow' ? 'w' : String(value)[0]);

  function composed(o) {
    const dateName = dateKeys.map((key) => initial(o[key])).join('');
    const timeName = ['hour', 'minute', 'second', 'fractionalSecondDigits'].map((key) => initial(o[key])).join('');
    const zoned = o.timeZoneName ? 'z' : '-';
    const hasDate = dateName !== '----';
    const hasTime = timeName !== '----';
    const date = hasDate ? text(o, 'dates', dateName) : '';
    let time = hasTime ? clockText(o, timeName + zoned) : '';
    if (!hasTime && o.timeZoneName) time = '{z}';
    // The text between date and time depends on the fields of the time; the tables lack some texts.
    const kind = hasTime
      ? o.hour && o.timeZoneName ? 'hmz' : (o.hour ? 'h' : '') + (o.minute ? 'm' : '') + (o.second ? 's' : '')
      : 'z';
    const clock = !o.hour || o.clock === '' ? '' : o.clock === 't' || o.clock === 'h11' || o.clock === 'h12' ? 'h12' : 'h23';
    const glue = date && time ? text(o, 'both', `${dateName} ${kind}${clock}`) ?? text(o, 'both', dateName) : '';
    // Combinations that are joined in ways of their own, which the tables do not have.
    const isOdd = date && (kind === 'm' || kind === 's' || (o.fractionalSecondDigits && dateName.endsWith('---')));
    if (date == null || time == null || glue == null || glue === '\0' || isOdd) {
      const asked = [...dateKeys, ...timeKeys, 'timeZoneName'].filter((key) => o[key] !== undefined);
      unavailable(`Intl.DateTimeFormat with ${asked.map((key) => `${key} ${o[key]}`).join(', ')}`);
    }
    return date + glue + time;
  }

  // A pattern's fields and what stands between them.
  function tokensOf(pattern) {
    const tokens = [];
    for (const piece of pattern.split('{')) {
      const end = piece.indexOf('}');
      if (end >= 0) tokens.push({ field: piece.slice(0, end) });
      if (end + 1 < piece.length) tokens.push({ literal: piece.slice(end + 1) });
    }
    return tokens;
  }

  // The output.

  function valueOf(o, field, t, milliseconds) {
    const number = Number(field.slice(1));
    switch (field[0]) {
      case 'y': {
        const year = t.getUTCFullYear();
        const shown = year > 0 ? year : 1 - year;
        return field === 'yy' ? two(shown % 100) : String(shown);
      }
      case 'M': return field === 'MM' ? two(t.getUTCMonth() + 1) : String(t.getUTCMonth() + 1);
      case 'L': return natives.localeNames(number)[t.getUTCMonth()];
      case 'd': return field === 'dd' ? two(t.getUTCDate()) : String(t.getUTCDate());
      case 'E': return natives.localeNames(number)[t.getUTCDay()];
      case 'h': {
        let hours = t.getUTCHours();
        if (o.cycle === 'h12') hours = hours % 12 || 12;
        else if (o.cycle === 'h11') hours %= 12;
        else if (o.cycle === 'h24') hours = hours || 24;
        return field === 'hh' ? two(hours) : String(hours);
      }
      case 'm': return field === 'mm' ? two(t.getUTCMinutes()) : String(t.getUTCMinutes());
      case 's': return field === 'ss' ? two(t.getUTCSeconds()) : String(t.getUTCSeconds());
      case 'S': return String(t.getUTCMilliseconds()).padStart(3, '0').slice(0, number);
      case 'a': return natives.localeNames(number)[t.getUTCHours()];
      default: return zoneText(o, milliseconds);
    }
  }

  function parts(o, milliseconds) {
    const shift = o.zone === 'UTC' ? 0 : natives.zoneOffset(o.zone, milliseconds) * 1000;
    const t = new Date(milliseconds + shift);
    return o.tokens.map(({ field, literal }) =>
      (literal === undefined ? { type: types[field[0]], value: valueOf(o, field, t, milliseconds) } : { type: 'literal', value: literal }));
  }

  // As V8 does, which keeps the narrow space for the parts alone.
  const format = (o, milliseconds) => parts(o, milliseconds).map((part) => part.value).join('').replaceAll('\u202f', ' ');

  const timeOf = Date.prototype.getTime;
  for (const [name, required, defaults] of [
    ['toLocaleString', 'any', 'all'],
    ['toLocaleDateString', 'date', 'date'],
    ['toLocaleTimeString', 'time', 'time'],
  ]) {
    define(Date.prototype, name, { [name](locale, options) {
      const milliseconds = timeOf.call(this);
      const resolved = resolve(locale, options, required, defaults);
      return Number.isNaN(milliseconds) ? 'Invalid Date' : format(resolved, milliseconds);
    } }[name]);
  }

  function time(date) {
    const milliseconds = date === undefined ? Date.now() : Number(date);
    if (!(Math.abs(milliseconds) <= 8.64e15)) throw new RangeError('Invalid time value');
    return Math.trunc(milliseconds);
  }

  function resolvedOptions(o) {
    const result = { locale: o.name, calendar: 'gregory', numberingSystem: 'latn', timeZone: o.zone };
    const fields = {};
    for (const { field } of o.tokens) if (field !== undefined) fields[types[field[0]]] = field;
    if (fields.hour) Object.assign(result, { hourCycle: o.cycle, hour12: o.cycle === 'h11' || o.cycle === 'h12' });
    if (o.dateStyle || o.timeStyle) {
      for (const key of ['dateStyle', 'timeStyle']) if (o[key]) result[key] = o[key];
      return result;
    }
    for (const key of ['weekday', 'year', 'month', 'day', 'hour', 'minute', 'second']) {
      const field = fields[key];
      if (field) result[key] = field[0] === 'L' || field[0] === 'E' ? o[key] : field.length === 2 ? '2-digit' : 'numeric';
    }
    for (const key of ['fractionalSecondDigits', 'timeZoneName']) if (o[key] !== undefined) result[key] = o[key];
    return result;
  }

  natives.DateTimeFormat = class DateTimeFormat {
    #options;
    constructor(locale, options) {
      this.#options = resolve(locale, options, 'any', 'date');
      define(this, 'format', (date) => format(this.#options, time(date)));
    }
    formatToParts(date) { return parts(this.#options, time(date)); }
    formatRange() { unavailable('Intl.DateTimeFormat.prototype.formatRange'); }
    formatRangeToParts() { unavailable('Intl.DateTimeFormat.prototype.formatRangeToParts'); }
    resolvedOptions() { return resolvedOptions(this.#options); }
    static supportedLocalesOf(list) { return natives.supported(list); }
  };
})
