// {"functions": ["decodeUplink"], "inputs": ["00", "01"]}
// local wall-clock time of a site, in pieces
function decodeUplink(input) {
  var f = new Intl.DateTimeFormat('en-US', { timeZone: 'Australia/Sydney', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
  var p = {};
  f.formatToParts(new Date(1706745600000)).forEach(function (x) { p[x.type] = x.value; });
  return { data: { local: p.year + '-' + p.month + '-' + p.day + 'T' + p.hour + ':' + p.minute + ':' + p.second } };
}
