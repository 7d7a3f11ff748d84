// Feldmark BP-30: a soil probe that measures at several depths and sends CBOR (RFC 8949).
//
// The payload is one map with numbers as keys:
//
//   0  battery in mV
//   1  list of layers, each [depth in cm, moisture in %, temperature in °C]; a sensor that is broken gives null
//   2  salinity in µS/cm, only where the probe has that sensor
//
// An ECMAScript module: the hub calls what it exports.

/** Reads one CBOR item after another. Strings of indefinite length are not used by the probe. */
class Cbor {
  constructor(bytes) {
    this.view = new DataView(Uint8Array.from(bytes).buffer);
    this.at = 0;
  }

  item() {
    const first = this.view.getUint8(this.at++);
    const major = first >> 5;
    const detail = first & 31;
    switch (major) {
      case 0:
        return this.count(detail);
      case 1:
        return -1 - this.count(detail);
      case 3:
        return this.text(this.count(detail));
      case 4:
        return Array.from({ length: this.count(detail) }, () => this.item());
      case 5:
        return this.map(this.count(detail));
      case 6:
        this.count(detail); // A tag says more about the item that follows, which is read as it is.
        return this.item();
      case 7:
        return this.simple(detail);
      default:
        throw new RangeError(`items of major type ${major} are not used by the probe`);
    }
  }

  /** A number of 0, 1, 2 or 4 bytes, as it also stands before lists, maps and texts. */
  count(detail) {
    if (detail < 24) return detail;
    const bytes = { 24: 1, 25: 2, 26: 4 }[detail];
    if (!bytes) throw new RangeError(`the length ${detail} is not used by the probe`);
    const at = this.skip(bytes);
    return bytes === 1 ? this.view.getUint8(at) : bytes === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }

  text(length) {
    const at = this.skip(length);
    return new TextDecoder().decode(new Uint8Array(this.view.buffer, at, length));
  }

  map(length) {
    const map = new Map();
    for (let i = 0; i < length; i++) {
      const key = this.item();
      map.set(key, this.item());
    }
    return map;
  }

  simple(detail) {
    switch (detail) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
      case 23:
        return null;
      case 25:
        return half(this.view.getUint16(this.skip(2)));
      case 26:
        return this.view.getFloat32(this.skip(4));
      case 27:
        return this.view.getFloat64(this.skip(8));
      default:
        throw new RangeError(`the simple value ${detail} is unknown`);
    }
  }

  skip(bytes) {
    const at = this.at;
    this.at += bytes;
    return at;
  }
}

/** A float of 16 bits. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const rounded = (value) => (value === null ? null : Math.round(value * 100) / 100);

export function decodeUplink({ bytes }) {
  let frame;
  try {
    frame = new Cbor(bytes).item();
  } catch (error) {
    if (error instanceof RangeError) return { errors: [`no CBOR of the probe: ${error.message}`] };
    throw error;
  }
  if (!(frame instanceof Map)) return { errors: ["the payload is no map"] };

  const data = { battery: frame.get(0) / 1000, layers: {} };
  for (const [depth, moisture, temperature] of frame.get(1) ?? []) {
    data.layers[`${depth}cm`] = { moisture: rounded(moisture), temperature: rounded(temperature) };
  }
  if (frame.has(2)) data.salinity = frame.get(2);
  const unknown = [...frame.keys()].filter((key) => ![0, 1, 2].includes(key));
  return { data, warnings: unknown.map((key) => `key ${key} is unknown`) };
}
