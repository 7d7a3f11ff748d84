// Kalora H5: a heat meter that sends records as M-Bus has them (EN 13757-3).
//
// A record is a byte for the kind of its number (DIF), a byte for its meaning and unit (VIF), and the number. Numbers
// are BCD with two digits a byte, the low byte first: 0x56 0x34 0x12 is 123456. A digit F in front is a minus. VIF 0x7f
// is left to vendors; this one sends the faults under it, a bit each.

const FORMS = {
  0x01: { bytes: 1, read: ([flags]) => flags },
  0x04: { bytes: 4, read: dateTime },
  0x0a: { bytes: 2, read: bcd },
  0x0b: { bytes: 3, read: bcd },
  0x0c: { bytes: 4, read: bcd },
};

const MEANINGS = {
  0x06: (data, value) => (data.energy = value),
  0x14: (data, value) => (data.volume = value / 100),
  0x2d: (data, value) => (data.power = value / 10),
  0x3b: (data, value) => (data.flow = value),
  0x5a: (data, value) => ((data.water ??= {}).supply = value / 10),
  0x5e: (data, value) => ((data.water ??= {}).return = value / 10),
  0x6d: (data, value) => (data.measured_at = value),
  0x7f: (data, value) => (data.faults = FAULTS.filter((_, bit) => (value >> bit) & 1)),
};

const FAULTS = ["supply sensor", "return sensor", "flow sensor", "battery"];

function bcd(bytes) {
  const digits = [...bytes].reverse().map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const isNegative = digits.startsWith("f");
  const number = isNegative ? digits.slice(1) : digits;
  if (!/^[0-9]+$/.test(number)) throw new Error(`${digits} is no BCD`);
  return (isNegative ? -1 : 1) * Number(number);
}

/** Type F of M-Bus: minute, hour, and a date whose year is spread over two bytes. */
function dateTime([minute, hour, day, month]) {
  const year = 2000 + ((day >> 5) | ((month & 0xf0) >> 1));
  return new Date(Date.UTC(year, (month & 0x0f) - 1, day & 0x1f, hour & 0x1f, minute & 0x3f));
}

const hex = (byte) => "0x" + byte.toString(16).padStart(2, "0");

function decodeUplink({ bytes }) {
  const data = {};
  const warnings = [];
  let at = 0;
  while (at < bytes.length) {
    const [dif, vif] = bytes.slice(at, at + 2);
    const form = FORMS[dif];
    if (!form) return { errors: [`DIF ${hex(dif)} at byte ${at} is unknown`] };
    const value = bytes.slice(at + 2, at + 2 + form.bytes);
    if (value.length < form.bytes) return { errors: [`the record at byte ${at} is cut off`] };
    // The DIF says how long the number is, so a meaning that is unknown costs only its own record.
    if (MEANINGS[vif]) MEANINGS[vif](data, form.read(value));
    else warnings.push(`VIF ${hex(vif)} at byte ${at + 1} is unknown`);
    at += 2 + form.bytes;
  }
  return { data, warnings };
}

/** The names that The Things Stack has for the same values on all meters. */
function normalizeUplink({ data }) {
  const normalized = [];
  if (data.water) {
    normalized.push({ water: { temperature: { min: data.water.return, max: data.water.supply } } });
  }
  return { data: normalized };
}
