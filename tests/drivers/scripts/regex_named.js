// {"functions": ["decodeUplink"], "inputs": ["", "00", "01", "ff", "0102", "fffe0380", "01670110026800", "0367fed8047320cc0571ff00", "deadbeef00112233445566778899aabbccddeeff", "80000000", "7f800000", "3f9d70a4c2f6e979", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"]}
function decodeUplink({ bytes }) {
  const text = 'T:' + bytes.join(',') + ';H=12.50%;id:ab-CD_9;T:-3';
  const named = [...text.matchAll(/(?<key>[A-Za-z]+)[:=](?<value>[^;]*)/g)].map((m) => ({ ...m.groups, at: m.index }));
  const sticky = /\d+/y; sticky.lastIndex = 2; const s = sticky.exec(text); 
  return { data: { named, behind: text.match(/(?<=H=)[\d.]+(?=%)/)?.[0], notBehind: 'a1 b2 -3'.match(/(?<![-\d])\d/g), unicode: 'ä€😀x'.match(/\p{L}|\p{Emoji_Presentation}/gu), dot: /a.b/s.test('a\nb'), back: /(?<q>['"]).*?\k<q>/.exec(`say "it's" ok`)[0],
    replaced: text.replace(/(?<k>[TH])[:=]/g, '<$<k>|$1|$&|$`>'.slice(0, 17)), fn: text.replace(/\d+/g, (m, at) => `${m}@${at}`), split: 'a1b22c'.split(/(\d+)/), all: 'x.y.z'.replaceAll('.', '$$'), sticky: s && s[0], last: sticky.lastIndex, flags: /a/dgimsuy.flags, indices: /b(c)/d.exec('abc').indices[1], src: new RegExp('/', 'g').source, search: text.search(/;/), greedy: /<.+?>/.exec('<a><b>')[0], legacy: /\1(a)/.exec('aa')[0], oct: /\101/.test('A'), brace: /a{,2}/.test('a{,2}'), cls: /[^]/.test('\n') } };
}