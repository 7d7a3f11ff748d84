// Which locale is meant by a list of them, and what is common to dates and numbers. The tables are Node's
// (`locales.json`); what they do not have is an error that names it, never something that looks alike.
(function (natives) {
  'use strict';
  const quiet = natives.quiet ?? ((pattern) => pattern);
  const tagged = quiet(/^[a-z]{2,8}(-[a-z0-9]{1,8})*$/i);
  const simple = quiet(/^([a-z]{2,3})(?:-([a-z]{2}|[0-9]{3}))?$/i);
  const infos = {};

  natives.unavailable = (what) => {
    throw new RangeError(`${what} is not available to drivers`);
  };

  function checkExtension(tag, extension) {
    const words = extension.toLowerCase().split('-').filter(Boolean);
    const allowed = { ca: 'gregory', nu: 'latn', co: 'standard' };
    for (let i = 0; i < words.length; i += 2) {
      if (allowed[words[i]] !== words[i + 1]) natives.unavailable(`the locale ${tag}`);
    }
  }

  // The first of those that Node has: its name, and that of its tables.
  natives.localeOf = (requested) => {
    if (requested === null) throw new TypeError('Cannot convert undefined or null to object');
    const list = requested === undefined ? [] : typeof requested === 'string' ? [requested] : Array.from(requested);
    for (const tag of list) {
      if (typeof tag !== 'string' && typeof tag !== 'object') throw new TypeError('Incorrect locale information provided');
      const text = String(tag);
      if (!tagged.test(text)) throw new RangeError('Incorrect locale information provided');
      const at = text.toLowerCase().indexOf('-u-');
      const match = simple.exec(at < 0 ? text : text.slice(0, at));
      const language = match ? match[1].toLowerCase() : text.split('-', 1)[0].toLowerCase();
      const name = match ? language + (match[2] ? '-' + match[2].toUpperCase() : '') : text;
      const found = natives.localeFind(name, language);
      if (found === 'unknown') continue;
      if (found === 'lacking') natives.unavailable(`the locale ${text}`);
      if (at >= 0) checkExtension(text, text.slice(at + 3));
      // Node calls Norwegian by its language.
      return { name: name === 'nb-NO' ? 'nb' : name, found };
    }
    return { name: 'en-US', found: 'en-US' };
  };

  natives.supported = (list) => {
    const wanted = typeof list === 'string' ? [list] : Array.from(list ?? []);
    return wanted.filter((tag) => ['lacking', 'unknown'].includes(natives.localeFind(String(tag), String(tag).split('-', 1)[0])) === false);
  };

  natives.localeInfo = (found) => (infos[found] ??= JSON.parse(natives.localeTable(found)));

  natives.chosen = (options, name, values, where, fallback) => {
    const value = options[name];
    if (value === undefined) return fallback;
    const text = String(value);
    if (!values.includes(text)) throw new RangeError(`Value ${text} out of range for Intl.${where} options property ${name}`);
    return text;
  };

  // Options that Node has, with the one value that there is here.
  natives.onlyPlain = (options, plain, where) => {
    for (const name in plain) {
      const value = options[name];
      if (value !== undefined && String(value) !== String(plain[name])) natives.unavailable(`Intl.${where} with ${name} ${String(value)}`);
    }
  };

  natives.define = (target, name, value) =>
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });

  // Upper and lower case are the same everywhere but in these languages.
  for (const name of ['toLocaleUpperCase', 'toLocaleLowerCase']) {
    const native = String.prototype[name];
    natives.define(String.prototype, name, { [name](locale) {
      if (locale !== undefined && ['tr', 'az', 'lt', 'el'].includes(String(locale).slice(0, 2).toLowerCase())) {
        natives.unavailable(`${name} in the locale ${String(locale)}`);
      }
      return Reflect.apply(native, this, []);
    } }[name]);
  }
})
