#!/usr/bin/env node
// Writes crates/driver/src/prelude/locales.json: dates and numbers for people, as Node has them.
//
//   TZ=UTC node tests/drivers/locales-with-node.js
//
// A pattern is a text with fields in braces: {y} {yy} year, {M} {MM} month, {L3} month by the third list
// of names, {d} {dd} day, {E4} weekday by a list, {h} {hh} hour, {m} {mm}, {s} {ss}, {S1} to {S3} fraction,
// {a5} half of the day by a list of 24, {z} time zone. It fails where a locale does not fit that.
'use strict';
const fs = require('fs');
const path = require('path');

process.env.TZ = 'UTC';
const LOCALES = [
  'en-US', 'en-GB', 'en-AU', 'en-CA', 'en-IE', 'en-IN', 'en-NZ', 'en-ZA', 'de-DE', 'de-AT', 'de-CH', 'fr-FR', 'fr-BE',
  'fr-CA', 'fr-CH', 'es-ES', 'es-MX', 'it-IT', 'it-CH', 'nl-NL', 'nl-BE', 'pt-BR', 'pt-PT', 'sv-SE', 'da-DK', 'nb-NO',
  'fi-FI', 'pl-PL', 'cs-CZ',
];
const BASE = Date.UTC(2003, 3, 5, 16, 7, 8, 9);

// Texts and lists that many locales share are written once.
const tables = { texts: [], lists: [] };
const places = { texts: new Map(), lists: new Map() };
function keep(kind, value) {
  const text = JSON.stringify(value);
  if (!places[kind].has(text)) places[kind].set(text, tables[kind].push(value) - 1);
  return places[kind].get(text);
}
// In place of a text, where a combination does not fit.
const LEFT_OUT = keep('texts', '\0');

// Making a formatter is what takes long, and the same is asked for many times.
let latest = {};
function partsOf(locale, options, time = BASE) {
  const name = `${locale} ${JSON.stringify(options)}`;
  if (latest.name !== name) latest = { name, format: new Intl.DateTimeFormat(locale, { timeZone: 'UTC', ...options }) };
  return latest.format.formatToParts(time);
}

// The names of one field over many dates.
function names(locale, options, type, times) {
  // They depend on the form alone: what stands beside them decides which form that is.
  return keep('lists', times.map((time) => partsOf(locale, options, time).find((part) => part.type === type).value));
}
const months = Array.from({ length: 12 }, (_, month) => Date.UTC(2003, month, 5, 16, 7, 8, 9));
const days = Array.from({ length: 7 }, (_, day) => Date.UTC(2003, 5, 1 + day, 16, 7, 8, 9));
const hours = Array.from({ length: 24 }, (_, hour) => Date.UTC(2003, 3, 5, hour, 7, 8, 9));

function field(locale, options, { type, value }) {
  switch (type) {
    case 'year': return { 2003: '{y}', '03': '{yy}' }[value];
    case 'month': return { 4: '{M}', '04': '{MM}' }[value] ?? `{L${names(locale, options, type, months)}}`;
    case 'weekday': return `{E${names(locale, options, type, days)}}`;
    case 'day': return { 5: '{d}', '05': '{dd}' }[value];
    case 'hour': {
      const four = partsOf(locale, options, Date.UTC(2003, 3, 5, 4, 7, 8, 9)).find((part) => part.type === type).value;
      return { 4: '{h}', '04': '{hh}' }[four];
    }
    case 'minute': return { 7: '{m}', '07': '{mm}' }[value];
    case 'second': return { 8: '{s}', '08': '{ss}' }[value];
    case 'fractionalSecond': return `{S${value.length}}`;
    case 'dayPeriod': return `{a${names(locale, options, type, hours)}}`;
    case 'timeZoneName': return '{z}';
    default: return undefined;
  }
}

const made = new Map();
function pattern(locale, options) {
  const name = `${locale} ${JSON.stringify(options)}`;
  if (!made.has(name)) made.set(name, compose(locale, options));
  return made.get(name);
}

function compose(locale, options) {
  return partsOf(locale, options).map((part) => {
    if (part.type === 'literal') {
      if (/[{}]/.test(part.value)) throw new Error(`${locale}: a brace`);
      return part.value;
    }
    const token = field(locale, options, part);
    if (!token) throw new Error(`${locale} ${JSON.stringify(options)}: ${JSON.stringify(part)}`);
    return token;
  }).join('');
}

// The combinations that are written; others, such as hours and seconds without minutes, no driver gets.
const DATE_VALUES = {
  weekday: ['', 'narrow', 'short', 'long'], year: ['', 'numeric', '2-digit'],
  month: ['', 'numeric', '2-digit', 'narrow', 'short', 'long'], day: ['', 'numeric', '2-digit'],
};
const TIME_VALUES = {
  hour: ['', 'numeric', '2-digit'], minute: ['', 'numeric', '2-digit'], second: ['', 'numeric', '2-digit'],
  fractionalSecondDigits: ['', 1, 2, 3], timeZoneName: ['', 'short'],
};
function combinations(values, isWanted) {
  let all = [{}];
  for (const [key, choices] of Object.entries(values)) {
    all = all.flatMap((options) => choices.map((choice) => (choice === '' ? options : { ...options, [key]: choice })));
  }
  return all.filter((options) => Object.keys(options).length > 0 && isWanted(options));
}
const DATES = combinations(DATE_VALUES, ({ year, month, day }) => month || !(year && day));
const TIMES = combinations(TIME_VALUES, ({ hour, minute, second, fractionalSecondDigits, timeZoneName }) =>
  (hour || minute || second) && (minute || !(hour && second)) && (second || !fractionalSecondDigits)
  && (hour || !timeZoneName));
// Name of a combination in the file.
const nameOf = (values, options) => Object.keys(values).map((one) => (options[one] === undefined ? '-' : one === 'timeZoneName' ? 'z' : { numeric: 'n', '2-digit': '2', narrow: 'w', short: 's', long: 'l' }[options[one]] ?? options[one])).join('');
const dateName = (options) => nameOf(DATE_VALUES, options);
const timeName = (options) => nameOf(TIME_VALUES, options);
// Ways in which a driver asks for a clock; one that looks like the locale's own is not written.
const HOURS = {
  '': {}, h11: { hourCycle: 'h11' }, h12: { hourCycle: 'h12' }, h23: { hourCycle: 'h23' }, h24: { hourCycle: 'h24' },
  t: { hour12: true }, f: { hour12: false },
};
const STYLES = ['', 'full', 'long', 'medium', 'short'];

function describe(locale) {
  const resolved = (options) => new Intl.DateTimeFormat(locale, { hour: 'numeric', ...options }).resolvedOptions();
  const data = {
    cycle: resolved({}).hourCycle, cycle12: resolved({ hour12: true }).hourCycle, cycle24: resolved({ hour12: false }).hourCycle,
    dates: {}, times: {}, both: {}, dateStyles: {}, timeStyles: {}, styles: {},
  };
  const text = (options) => keep('texts', pattern(locale, options));
  for (const options of DATES) data.dates[dateName(options)] = text(options);
  for (const options of TIMES) {
    for (const [name, hours] of Object.entries(options.hour ? HOURS : { '': {} })) {
      const found = text({ ...options, ...hours });
      if (found !== data.times[timeName(options)]) data.times[timeName(options) + name] = found;
      // Some locales write the hour otherwise beside an offset.
      for (const timeZoneName of options.timeZoneName ? ['shortOffset', 'longOffset'] : []) {
        const other = text({ ...options, ...hours, timeZoneName });
        if (other !== found) data.times[timeName(options) + name + timeZoneName] = other;
      }
    }
  }
  for (const options of DATES) joinBoth(locale, data, options);
  for (const style of STYLES.slice(1)) {
    data.dateStyles[style] = text({ dateStyle: style });
    for (const [name, hours] of Object.entries(HOURS)) {
      const found = text({ timeStyle: style, ...hours });
      if (found !== data.timeStyles[style]) data.timeStyles[style + name] = found;
    }
    for (const other of STYLES.slice(1)) {
      for (const [name, hours] of Object.entries(HOURS)) {
        const found = text({ dateStyle: style, timeStyle: other, ...hours });
        if (found !== data.styles[`${style} ${other}`]) data.styles[`${style} ${other}${name}`] = found;
      }
    }
  }
  const { cycle, cycle12, cycle24, ...patterns } = data;
  const { zones: letters, ...offsets } = zones(locale);
  return { patterns, zones: letters, info: { cycle, cycle12, cycle24, ...offsets, number: numbers(locale) } };
}

// A date and a time are joined by what stands between the date and hour and minute; the rest is an exception.
const SAMPLES = [
  { hour: 'numeric' }, { hour: 'numeric', minute: '2-digit' }, { hour: '2-digit', minute: '2-digit' },
  { hour: 'numeric', minute: 'numeric', second: '2-digit' }, { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  { minute: 'numeric', second: 'numeric' }, { hour: 'numeric', minute: 'numeric', timeZoneName: 'short' }, { timeZoneName: 'short' },
];
function joinBoth(locale, data, options) {
  const first = pattern(locale, options);
  for (const sample of SAMPLES) {
    for (const hourCycle of sample.hour ? ['', 'h12', 'h23'] : ['']) {
      const time = { ...sample, ...(hourCycle && { hourCycle }) };
      const whole = pattern(locale, { ...options, ...time });
      const second = sample.timeZoneName && !sample.hour ? '{z}' : pattern(locale, time);
      const between = whole.startsWith(first) && whole.endsWith(second) && whole.length >= first.length + second.length
        ? whole.slice(first.length, whole.length - second.length) : undefined;
      const kind = (sample.hour ? 'h' : '') + (sample.minute ? 'm' : '') + (sample.second ? 's' : '') + (sample.timeZoneName ? 'z' : '');
      const name = `${dateName(options)} ${kind}${hourCycle}`;
      const found = between === undefined ? LEFT_OUT : keep('texts', between);
      data.both[name] ??= found;
      if (data.both[name] !== found) data.both[name] = LEFT_OUT;
    }
  }
  shorten(data.both, dateName(options));
}

// The parts that most kinds of times share are written once.
function shorten(both, date) {
  const names = Object.keys(both).filter((name) => name.startsWith(`${date} `));
  const count = (found) => names.filter((name) => both[name] === found).length;
  const [usual] = names.map((name) => both[name]).sort((a, b) => count(b) - count(a) || a - b);
  for (const name of names) if (both[name] === usual) delete both[name];
  both[date] = usual;
}

function zones(locale) {
  const name = (timeZone, timeZoneName, month = 0) =>
    partsOf(locale, { timeZone, timeZoneName }, Date.UTC(2024, month, 15, 12)).find((part) => part.type === 'timeZoneName').value;
  const utc = Object.fromEntries(['short', 'long', 'shortOffset', 'longOffset', 'shortGeneric', 'longGeneric'].map((style) => [style, name('UTC', style)]));
  const known = {};
  const offset = (text) => /\d/.test(text) || text === utc.shortOffset;
  for (const zone of [...Intl.supportedValuesOf('timeZone')]) {
    const both = [name(zone, 'short', 0), name(zone, 'short', 6)];
    if (zone !== 'UTC' && !both.every(offset)) (known[both.map((text) => (offset(text) ? '' : text)).join('|')] ??= []).push(zone);
  }
  const shape = (text, hour, minute) => {
    const [, before, , between, , after] = new RegExp(`^(.*?)(${hour})(.*?)(${minute})(.*)$`).exec(text);
    return [before, between, after];
  };
  return {
    utc,
    zones: known,
    zero: name('Africa/Abidjan', 'shortOffset'),
    offsets: {
      shortPlus: shape(name('Asia/Kathmandu', 'shortOffset'), '0?5', '45'), shortMinus: shape(name('America/St_Johns', 'shortOffset'), '0?3', '30'),
      longPlus: shape(name('Asia/Kathmandu', 'longOffset'), '0?5', '45'), longMinus: shape(name('America/St_Johns', 'longOffset'), '0?3', '30'),
      shortHour: /0\d/.test(name('Europe/Berlin', 'shortOffset')) ? 2 : 1, longHour: /0\d/.test(name('Europe/Berlin', 'longOffset')) ? 2 : 1,
    },
  };
}

function numbers(locale) {
  const parts = (value, options) => new Intl.NumberFormat(locale, options).formatToParts(value);
  const value = (list, type) => list.find((part) => part.type === type)?.value;
  const around = (list) => {
    const at = list.findIndex((part) => part.type === 'integer');
    return [list.slice(0, at), list.slice(at + 1)].map((side) => side.map((part) => [part.type, part.value]));
  };
  const big = parts(12345678.5);
  return {
    group: value(big, 'group'), decimal: value(big, 'decimal'), minus: value(parts(-1), 'minusSign'),
    plus: value(parts(1, { signDisplay: 'always' }), 'plusSign'), nan: value(parts(NaN), 'nan'), infinity: value(parts(Infinity), 'infinity'),
    // Digits of the last group and of those before, and the number of digits from which on there are groups.
    last: big.filter((part) => part.type === 'integer').at(-1).value.length,
    others: big.filter((part) => part.type === 'integer').at(-2).value.length,
    from: [1000, 10000, 100000].find((number) => parts(number).some((part) => part.type === 'group')).toString().length,
    percent: around(parts(1, { style: 'percent' })), negative: around(parts(-1)), negativePercent: around(parts(-1, { style: 'percent' })),
    positive: around(parts(1, { signDisplay: 'always' })), positivePercent: around(parts(1, { style: 'percent', signDisplay: 'always' })),
  };
}

const locales = {};
for (const locale of LOCALES) {
  locales[locale] = describe(locale);
  console.log(locale, Object.values(locales[locale].patterns.both).filter((text) => text === LEFT_OUT).length, 'left out,', tables.texts.length, 'texts', tables.lists.length, 'lists');
}
// A language by itself looks as one of its regions does.
const aliases = {};
for (const language of new Set(LOCALES.map((locale) => locale.slice(0, 2)))) {
  const likely = `${language}-${new Intl.Locale(language).maximize().region}`;
  if (!Object.hasOwn(locales, likely)) throw new Error(`${language} is ${likely}`);
  aliases[language] = likely;
}
// The languages that Node has: what it does not know is shown as the default, what it knows and drivers lack is an error.
const letters = 'abcdefghijklmnopqrstuvwxyz';
const codes = [...letters].flatMap((a) => [...letters].flatMap((b) => [a + b, ...[...letters].map((c) => a + b + c)]));
const known = Intl.DateTimeFormat.supportedLocalesOf(codes);
// Names of zones that stand for another.
const zoneNames = fs.readFileSync('/usr/share/zoneinfo/tzdata.zi', 'utf8').split('\n').map((line) => line.split(' '))
  .filter(([kind]) => kind === 'Z' || kind === 'L').map(([kind, first, second]) => (kind === 'Z' ? first : second))
  // No place, and nothing that Node knows.
  .filter((name) => name !== 'Factory');
const canonical = {};
for (const name of zoneNames) {
  const { timeZone } = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions();
  if (timeZone !== name) canonical[name] = timeZone;
}
const file = path.join(__dirname, '../../crates/driver/src/prelude/locales.json');
fs.writeFileSync(file, JSON.stringify({ ...tables, aliases, known, canonical, locales }) + '\n');
console.log(fs.statSync(file).size, 'bytes');
