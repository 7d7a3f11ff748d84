// What dates and numbers look like for people, for some locales: what `locale.js` writes them by.
(function (natives) {
  'use strict';
  const english = {
    months: ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'],
    shortMonths: ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
    days: ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'],
    shortDays: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'],
    halves: ['AM', 'PM'],
    hour12: false,
    zone: 'Coordinated Universal Time',
    group: ',', decimal: '.', percent: '%',
  };
  const locales = {
    'en-US': {
      ...english, hour12: true, order: 'mdy', separator: '/', join: ', ', longJoin: ' at ', shortDate: ['numeric', 'numeric', '2-digit'],
      text: (p) => {
        const monthDay = [p.month, p.day].filter(Boolean).join(' ');
        const date = p.year && p.day ? `${monthDay}, ${p.year}` : [monthDay, p.year].filter(Boolean).join(' ');
        return [p.weekday, date].filter(Boolean).join(', ');
      },
      weekdayJoin: ', ',
    },
    'en-GB': {
      ...english, order: 'dmy', separator: '/', padded: true, join: ', ', longJoin: ' at ', shortDate: ['2-digit', '2-digit', 'numeric'],
      halves: ['am', 'pm'], shortMonths: english.shortMonths.map((month) => (month === 'Sep' ? 'Sept' : month)),
      text: (p) => [p.weekday && p.year && (p.day || p.month) ? p.weekday + ',' : p.weekday, p.day, p.month, p.year].filter(Boolean).join(' '),
      weekdayJoin: ', ',
    },
    'de-DE': {
      ...english, order: 'dmy', separator: '.', join: ', ', longJoin: ' um ', shortDate: ['2-digit', '2-digit', '2-digit'],
      months: ['Januar', 'Februar', 'M\u00e4rz', 'April', 'Mai', 'Juni', 'Juli', 'August', 'September', 'Oktober', 'November', 'Dezember'],
      shortMonths: ['Jan.', 'Feb.', 'M\u00e4rz', 'Apr.', 'Mai', 'Juni', 'Juli', 'Aug.', 'Sept.', 'Okt.', 'Nov.', 'Dez.'],
      days: ['Sonntag', 'Montag', 'Dienstag', 'Mittwoch', 'Donnerstag', 'Freitag', 'Samstag'],
      shortDays: ['So', 'Mo', 'Di', 'Mi', 'Do', 'Fr', 'Sa'], mediumNumeric: true,
      zone: 'Koordinierte Weltzeit', hourSuffix: ' Uhr', group: '.', decimal: ',', percent: '\u00a0%',
      text: (p) => [p.weekday && (p.day || p.month) ? p.weekday + ',' : p.weekday, p.day && p.month ? p.day + '.' : p.day, p.month, p.year].filter(Boolean).join(' '),
      weekdayJoin: ', ',
    },
    'fr-FR': {
      ...english, order: 'dmy', separator: '/', padded: true, join: ' ', shortJoin: ', ', longJoin: ' \u00e0 ', shortDate: ['2-digit', '2-digit', 'numeric'],
      months: ['janvier', 'f\u00e9vrier', 'mars', 'avril', 'mai', 'juin', 'juillet', 'ao\u00fbt', 'septembre', 'octobre', 'novembre', 'd\u00e9cembre'],
      shortMonths: ['janv.', 'f\u00e9vr.', 'mars', 'avr.', 'mai', 'juin', 'juil.', 'ao\u00fbt', 'sept.', 'oct.', 'nov.', 'd\u00e9c.'],
      days: ['dimanche', 'lundi', 'mardi', 'mercredi', 'jeudi', 'vendredi', 'samedi'],
      shortDays: ['dim.', 'lun.', 'mar.', 'mer.', 'jeu.', 'ven.', 'sam.'],
      zone: 'temps universel coordonn\u00e9', gmt: 'UTC', minus: '\u2212', hourSuffix: ' h', group: '\u202f', decimal: ',', percent: '\u202f%',
      text: (p) => [p.weekday, p.day, p.month, p.year].filter(Boolean).join(' '),
      weekdayJoin: ' ',
    },
    'sv-SE': {
      ...english, order: 'ymd', separator: '-', padded: true, join: ' ', longJoin: ' kl. ', shortDate: ['2-digit', '2-digit', 'numeric'],
      months: ['januari', 'februari', 'mars', 'april', 'maj', 'juni', 'juli', 'augusti', 'september', 'oktober', 'november', 'december'],
      shortMonths: ['jan.', 'feb.', 'mars', 'apr.', 'maj', 'juni', 'juli', 'aug.', 'sep.', 'okt.', 'nov.', 'dec.'],
      days: ['s\u00f6ndag', 'm\u00e5ndag', 'tisdag', 'onsdag', 'torsdag', 'fredag', 'l\u00f6rdag'],
      shortDays: ['s\u00f6n', 'm\u00e5n', 'tis', 'ons', 'tors', 'fre', 'l\u00f6r'],
      zone: 'koordinerad universell tid', group: '\u00a0', decimal: ',', percent: '\u00a0%', minus: '\u2212',
      text: (p) => [p.weekday, p.day, p.month, p.year].filter(Boolean).join(' '),
      weekdayJoin: ', ',
    },
    'en-CA': {
      ...english, hour12: true, order: 'ymd', separator: '-', padded: true, join: ', ', longJoin: ' at ', shortDate: ['2-digit', '2-digit', 'numeric'],
      halves: ['a.m.', 'p.m.'],
    },
    'en-AU': {
      ...english, hour12: true, order: 'dmy', separator: '/', padded: true, join: ', ', longJoin: ' at ', shortDate: ['numeric', 'numeric', '2-digit'],
      halves: ['am', 'pm'],
    },
    'es-ES': {
      ...english, order: 'dmy', separator: '/', join: ', ', longJoin: ', ', shortDate: ['numeric', 'numeric', '2-digit'], plainHour: true,
      months: ['enero', 'febrero', 'marzo', 'abril', 'mayo', 'junio', 'julio', 'agosto', 'septiembre', 'octubre', 'noviembre', 'diciembre'],
      shortMonths: ['ene', 'feb', 'mar', 'abr', 'may', 'jun', 'jul', 'ago', 'sept', 'oct', 'nov', 'dic'],
      days: ['domingo', 'lunes', 'martes', 'mi\u00e9rcoles', 'jueves', 'viernes', 's\u00e1bado'],
      shortDays: ['dom', 'lun', 'mar', 'mi\u00e9', 'jue', 'vie', 's\u00e1b'],
      group: '.', decimal: ',', percent: ' %', grouped: 5,
      text: (p) => [p.weekday && (p.day || p.month) ? p.weekday + ',' : p.weekday, [p.day, p.month, p.year].filter(Boolean).join(p.long ? ' de ' : ' ')].filter(Boolean).join(' '),
      weekdayJoin: ', ',
    },
    'it-IT': {
      ...english, order: 'dmy', separator: '/', padded: true, join: ', ', longJoin: ' alle ore ', shortDate: ['2-digit', '2-digit', '2-digit'],
      months: ['gennaio', 'febbraio', 'marzo', 'aprile', 'maggio', 'giugno', 'luglio', 'agosto', 'settembre', 'ottobre', 'novembre', 'dicembre'],
      shortMonths: ['gen', 'feb', 'mar', 'apr', 'mag', 'giu', 'lug', 'ago', 'set', 'ott', 'nov', 'dic'],
      days: ['domenica', 'luned\u00ec', 'marted\u00ec', 'mercoled\u00ec', 'gioved\u00ec', 'venerd\u00ec', 'sabato'],
      shortDays: ['dom', 'lun', 'mar', 'mer', 'gio', 'ven', 'sab'],
      group: '.', decimal: ',', grouped: 5,
      text: (p) => [p.weekday, p.day, p.month, p.year].filter(Boolean).join(' '),
      weekdayJoin: ' ',
    },
    'nl-NL': {
      ...english, order: 'dmy', separator: '-', join: ', ', longJoin: ' om ', shortDate: ['2-digit', '2-digit', 'numeric'],
      months: ['januari', 'februari', 'maart', 'april', 'mei', 'juni', 'juli', 'augustus', 'september', 'oktober', 'november', 'december'],
      shortMonths: ['jan', 'feb', 'mrt', 'apr', 'mei', 'jun', 'jul', 'aug', 'sep', 'okt', 'nov', 'dec'],
      days: ['zondag', 'maandag', 'dinsdag', 'woensdag', 'donderdag', 'vrijdag', 'zaterdag'],
      shortDays: ['zo', 'ma', 'di', 'wo', 'do', 'vr', 'za'],
      group: '.', decimal: ',',
      text: (p) => [p.weekday, p.day, p.month, p.year].filter(Boolean).join(' '),
      weekdayJoin: ' ',
    },
    'pt-BR': {
      ...english, order: 'dmy', separator: '/', padded: true, join: ', ', longJoin: ' \u00e0s ', shortDate: ['2-digit', '2-digit', 'numeric'],
      months: ['janeiro', 'fevereiro', 'mar\u00e7o', 'abril', 'maio', 'junho', 'julho', 'agosto', 'setembro', 'outubro', 'novembro', 'dezembro'],
      shortMonths: ['jan.', 'fev.', 'mar.', 'abr.', 'mai.', 'jun.', 'jul.', 'ago.', 'set.', 'out.', 'nov.', 'dez.'],
      days: ['domingo', 'segunda-feira', 'ter\u00e7a-feira', 'quarta-feira', 'quinta-feira', 'sexta-feira', 's\u00e1bado'],
      shortDays: ['dom.', 'seg.', 'ter.', 'qua.', 'qui.', 'sex.', 's\u00e1b.'],
      group: '.', decimal: ',',
      text: (p) => [p.weekday && (p.day || p.month) ? p.weekday + ',' : p.weekday, [p.day, p.month, p.year].filter(Boolean).join(' de ')].filter(Boolean).join(' '),
      weekdayJoin: ', ',
    },
  };
  locales['en-CA'].text = locales['en-US'].text;
  locales['en-CA'].weekdayJoin = locales['en-AU'].weekdayJoin = ', ';
  locales['en-AU'].text = (p) => [p.weekday && p.weekday.length === 3 && !p.long && (p.day || p.month) ? p.weekday + ',' : p.weekday, p.day, p.month, p.year].filter(Boolean).join(' ');
  locales.en = locales['en-US'];
  locales.de = locales['de-DE'];
  locales.fr = locales['fr-FR'];
  locales.sv = locales['sv-SE'];
  locales.es = locales['es-ES'];
  locales.it = locales['it-IT'];
  locales.nl = locales['nl-NL'];
  locales.pt = locales['pt-BR'];
  natives.locales = locales;
})
