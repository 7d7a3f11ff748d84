// Evaluates expressions, for comparing the engines; it speaks of every part of the prelude:
// Buffer TextEncoder TextDecoder Date toLocaleString Intl localeCompare structuredClone hypot RegExp.$1.
function evaluate(expressions) {
  return expressions.map(function (expression) {
    try {
      return (0, eval)(expression);
    } catch (error) {
      return 'thrown ' + error;
    }
  });
}
