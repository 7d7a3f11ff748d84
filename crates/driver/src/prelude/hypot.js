// Math.hypot to the last digit as V8 has it: scaled by the largest, summed with compensation.
(function () {
  'use strict';
  const { abs, sqrt } = Math;
  Object.defineProperty(Math, 'hypot', {
    value: function hypot(a, b) {
      const values = [];
      let largest = 0;
      let bad = false;
      for (let i = 0; i < arguments.length; i++) {
        const value = abs(+arguments[i]);
        values.push(value);
        if (value !== value) bad = true;
        else if (value > largest) largest = value;
      }
      if (largest === Infinity) return Infinity;
      if (bad) return NaN;
      if (largest === 0) return 0;
      let sum = 0;
      let compensation = 0;
      for (const value of values) {
        const n = value / largest;
        const summand = n * n - compensation;
        const preliminary = sum + summand;
        compensation = preliminary - sum - summand;
        sum = preliminary;
      }
      return sqrt(sum) * largest;
    },
    writable: true, enumerable: false, configurable: true,
  });
})
