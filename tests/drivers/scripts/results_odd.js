// {"functions": ["decodeUplink"], "inputs": ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09"]}
function decodeUplink(input) {
  return [
    { data: { nan: NaN, inf: -Infinity, zero: -0, undef: undefined, nul: null, fn: function () {} } },
    { data: new Float32Array([0.1, 2]) }, { data: Buffer.from([1, 2]) }, { data: new Map([[1, 2]]) },
    [1, , 3], 'text', undefined, { data: { [Symbol('x')]: 1, date: new Date(NaN), big: String(2n ** 64n) } },
    { data: Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true }, hidden: { value: 3 } }) },
    { data: { get a() { return 1; }, 10: 'ten', 9: 'nine', b: [new Date(0)], toJSON() { return { from: 'toJSON', ...this }; } } },
  ][input.bytes[0]];
}
