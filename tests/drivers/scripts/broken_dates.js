// {"functions": ["decodeUplink"], "inputs": ["323032312d30302d3130", "323032312d30312d3130", "323032312d31332d30312031303a3030", "31302f31312f323032312032353a3030", "323032312d30322d33315430303a3030", "32312d312d35"]}
// A clock that was never set sends dates that no calendar has.
function decodeUplink(input) {
  var text = String.fromCharCode.apply(null, input.bytes);
  var at = new Date(text);
  return { data: { at: at, valid: !isNaN(at), ms: Date.parse(text) } };
}
