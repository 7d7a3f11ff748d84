// {"functions": ["decodeUplink"], "inputs": ["543d32312e353b483d3430", "7820543d2d313b543d332e32353b483d37207461696c", "6e6f7468696e67"]}
// Node keeps the last match on RegExp itself; decoders for text payloads use it.
function decodeUplink(input) {
  var text = String.fromCharCode.apply(null, input.bytes); // bytes of "T=21.5;H=40"
  /T=([0-9.]+);H=([0-9]+)/.test(text);
  return { data: { temperature: parseFloat(RegExp.$1), humidity: parseInt(RegExp.$2, 10), rest: RegExp.rightContext } };
}
