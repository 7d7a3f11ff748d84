// The static properties of RegExp for the last match, as in V8: `RegExp.$1` and others.
(function (natives) {
  'use strict';
  const { exec } = RegExp.prototype;
  const apply = Reflect.apply;
  let last = { input: '', index: 0, captures: [''] };
  let input = '';

  // Every search of the language comes through here: test, match, replace, split and the rest.
  const remembering = { exec(text) {
    const found = apply(exec, this, [text]);
    if (found !== null) {
      const captures = [];
      for (let i = 0; i < found.length; i++) captures[i] = found[i];
      last = { input: found.input, index: found.index, captures };
      input = found.input;
    }
    return found;
  } }.exec;
  Object.defineProperty(RegExp.prototype, 'exec', { value: remembering, writable: true, enumerable: false, configurable: true });

  // The prelude's own searches are none of the driver's.
  natives.quiet = (pattern) => Object.defineProperty(pattern, 'exec', { value: exec });

  function define(names, get, set = () => {}) {
    for (const name of names) {
      Object.defineProperty(RegExp, name, { get, set, enumerable: false, configurable: true });
    }
  }
  const end = () => last.index + last.captures[0].length;
  define(['input', '$_'], () => input, (value) => { input = `${value}`; });
  define(['lastMatch', '$&'], () => last.captures[0]);
  define(['lastParen', '$+'], () => (last.captures.length > 1 ? last.captures[last.captures.length - 1] ?? '' : ''));
  define(['leftContext', '$`'], () => last.input.slice(0, last.index));
  define(['rightContext', "$'"], () => last.input.slice(end()));
  for (let number = 1; number <= 9; number++) define([`$${number}`], () => last.captures[number] ?? '');
})
