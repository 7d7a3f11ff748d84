// Array.prototype.sort of short arrays as V8 does it: a comparison that contradicts itself, such as
// `(a, b) => a > b`, gives the same order as there. One that does not gives the same in every engine.
(function () {
  'use strict';
  const { sort } = Array.prototype;
  const { isArray } = Array;
  const own = Object.prototype.hasOwnProperty;
  const apply = Reflect.apply;
  // From here on V8 merges runs.
  const MERGED_FROM = 64;

  function byInsertion(work, compare) {
    const order = (a, b) => {
      const number = +compare(a, b);
      return number !== number ? 0 : number;
    };
    const count = work.length;
    // The run that is there already.
    const descending = order(work[1], work[0]) < 0;
    let start = 2;
    while (start < count && order(work[start], work[start - 1]) < 0 === descending) start++;
    if (descending) {
      for (let low = 0, high = start - 1; low < high; low++, high--) {
        const kept = work[low];
        work[low] = work[high];
        work[high] = kept;
      }
    }
    for (; start < count; start++) {
      const pivot = work[start];
      let left = 0;
      let right = start;
      while (left < right) {
        const middle = left + ((right - left) >> 1);
        if (order(pivot, work[middle]) < 0) right = middle;
        else left = middle + 1;
      }
      for (let at = start; at > left; at--) work[at] = work[at - 1];
      work[left] = pivot;
    }
  }

  Object.defineProperty(Array.prototype, 'sort', {
    value: { sort(compare) {
      if (typeof compare !== 'function' || !isArray(this) || this.length >= MERGED_FROM) return apply(sort, this, [compare]);
      const length = this.length;
      const work = [];
      let undefineds = 0;
      for (let index = 0; index < length; index++) {
        if (!apply(own, this, [index])) continue;
        const value = this[index];
        if (value === undefined) undefineds++;
        else work[work.length] = value;
      }
      if (work.length > 1) byInsertion(work, compare);
      let index = 0;
      for (; index < work.length; index++) this[index] = work[index];
      for (; undefineds > 0; undefineds--) this[index++] = undefined;
      for (; index < length; index++) delete this[index];
      return this;
    } }.sort,
    writable: true, enumerable: false, configurable: true,
  });
})
