// Node's Buffer, for byte arrays of the size of a payload.
(function (native) {
  'use strict';
  const { utf8Encode, utf8Decode } = native;
  const call = Function.prototype.call;
  const hexOf = call.bind(Uint8Array.prototype.toHex);
  const base64Of = call.bind(Uint8Array.prototype.toBase64);
  const setBytes = call.bind(Uint8Array.prototype.set);
  const fillBytes = call.bind(Uint8Array.prototype.fill);
  const fromCharCode = String.fromCharCode;
  const quiet = native.quiet ?? ((pattern) => pattern);
  const thousands = quiet(/\B(?=(\d{3})+$)/g);
  const pairs = quiet(/(..)(?=.)/g);
  const inspect = Symbol.for('nodejs.util.inspect.custom');
  const hide = (target, key, value) =>
    Object.defineProperty(target, key, { value, writable: true, enumerable: false, configurable: true });

  class FastBuffer extends Uint8Array {}

  // Errors, as Node words them.

  function failure(Type, code, message) {
    const error = new Type(message);
    hide(error, 'toString', function () { return `${this.name} [${code}]: ${this.message}`; });
    error.code = code;
    return error;
  }

  function separated(text) {
    const sign = text[0] === '-' ? '-' : '';
    return sign + text.slice(sign.length).replace(thousands, '_');
  }

  function shown(value) {
    if (typeof value === 'bigint') return separated(String(value)) + 'n';
    if (typeof value === 'number') {
      return Number.isInteger(value) && Math.abs(value) > 2 ** 32 ? separated(String(value)) : Object.is(value, -0) ? '-0' : String(value);
    }
    return typeof value === 'string' ? `'${value}'` : String(value);
  }

  const outOfRange = (name, range, value) =>
    failure(RangeError, 'ERR_OUT_OF_RANGE', `The value of "${name}" is out of range. It must be ${range}. Received ${shown(value)}`);

  function received(value) {
    if (value == null) return ` Received ${value}`;
    if (typeof value === 'function') return ` Received function ${value.name}`;
    if (typeof value === 'object') {
      if (value.constructor?.name) return ` Received an instance of ${value.constructor.name}`;
      return ' Received [Object: null prototype] {}';
    }
    let text = typeof value === 'string' ? `'${value}'` : shown(value);
    if (text.length > 28) text = text.slice(0, 25) + '...';
    return ` Received type ${typeof value} (${text})`;
  }

  const wrongType = (name, expected, value) =>
    failure(TypeError, 'ERR_INVALID_ARG_TYPE', `The ${name.includes(' ') ? name : `"${name}" argument`} must be ${expected}.${received(value)}`);

  function requireNumber(value, name) {
    if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  }

  function requireString(value, name) {
    if (typeof value !== 'string') throw wrongType(name, 'of type string', value);
  }

  function requireBytes(value, name) {
    if (!(value instanceof Uint8Array)) throw wrongType(name, 'an instance of Buffer or Uint8Array', value);
  }

  function requireSize(size) {
    requireNumber(size, 'size');
    if (!(size >= 0 && size <= 4294967296)) throw outOfRange('size', '>= 0 && <= 4294967296', size);
  }

  function outOfBounds(value, length, name) {
    if (Math.floor(value) !== value) {
      requireNumber(value, name || 'offset');
      throw outOfRange(name || 'offset', 'an integer', value);
    }
    if (length < 0) {
      throw failure(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', name ? `"${name}" is outside of buffer bounds` : 'Attempt to access memory outside buffer bounds');
    }
    throw outOfRange(name || 'offset', `>= ${name ? 1 : 0} and <= ${length}`, value);
  }

  function requireRoom(buffer, offset, size) {
    requireNumber(offset, 'offset');
    if (buffer[offset] === undefined || buffer[offset + size - 1] === undefined) {
      outOfBounds(offset, buffer.length - size);
    }
  }

  // Encodings.

  function latin1(bytes, mask) {
    let text = '';
    for (let i = 0; i < bytes.length; i++) text += fromCharCode(bytes[i] & mask);
    return text;
  }

  function fromLatin1(text) {
    const bytes = new FastBuffer(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  function hexDigit(code) {
    if (code >= 48 && code <= 57) return code - 48;
    code |= 32;
    return code >= 97 && code <= 102 ? code - 87 : -1;
  }

  function fromHex(text) {
    const bytes = new FastBuffer(text.length >> 1);
    for (let i = 0; i < bytes.length; i++) {
      const high = hexDigit(text.charCodeAt(2 * i));
      const low = hexDigit(text.charCodeAt(2 * i + 1));
      if (high < 0 || low < 0) return bytes.subarray(0, i);
      bytes[i] = (high << 4) | low;
    }
    return bytes;
  }

  function base64Digit(code) {
    if (code >= 65 && code <= 90) return code - 65;
    if (code >= 97 && code <= 122) return code - 71;
    if (code >= 48 && code <= 57) return code + 4;
    if (code === 43 || code === 45) return 62;
    return code === 47 || code === 95 ? 63 : -1;
  }

  function base64Size(text) {
    let size = text.length;
    if (size > 0 && text[size - 1] === '=') size--;
    if (size > 1 && text[size - 1] === '=') size--;
    return Math.floor(size / 4) * 3 + (size % 4 === 0 ? 0 : size % 4 === 3 ? 2 : 1);
  }

  // Lenient: both alphabets, and what is in neither is passed over.
  function fromBase64(text) {
    const bytes = new FastBuffer(base64Size(text));
    let at = 0;
    let bits = 0;
    let count = 0;
    for (let i = 0; i < text.length && at < bytes.length; i++) {
      const code = text.charCodeAt(i);
      if (code === 61) break;
      const digit = base64Digit(code);
      if (digit < 0) continue;
      bits = (bits << 6) | digit;
      count += 6;
      if (count >= 8) {
        count -= 8;
        bytes[at++] = bits >> count;
        bits &= (1 << count) - 1;
      }
    }
    return at === bytes.length ? bytes : bytes.subarray(0, at);
  }

  function fromUtf16(text) {
    const bytes = new FastBuffer(text.length * 2);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      bytes[2 * i] = code;
      bytes[2 * i + 1] = code >> 8;
    }
    return bytes;
  }

  function utf16(bytes) {
    let text = '';
    for (let i = 0; i + 1 < bytes.length; i += 2) text += fromCharCode(bytes[i] | (bytes[i + 1] << 8));
    return text;
  }

  const asBuffer = (bytes) => Object.setPrototypeOf(bytes, FastBuffer.prototype);
  const codecs = {
    utf8: { decode: utf8Decode, encode: (text) => asBuffer(utf8Encode(text)), size: (text) => utf8Encode(text).length },
    utf16le: { decode: utf16, encode: fromUtf16, size: (text) => text.length * 2 },
    latin1: { decode: (bytes) => latin1(bytes, 255), encode: fromLatin1, size: (text) => text.length },
    ascii: { decode: (bytes) => latin1(bytes, 127), encode: fromLatin1, size: (text) => text.length },
    base64: { decode: (bytes) => base64Of(bytes), encode: fromBase64, size: base64Size },
    base64url: { decode: (bytes) => base64Of(bytes, { alphabet: 'base64url', omitPadding: true }), encode: fromBase64, size: base64Size },
    hex: { decode: (bytes) => hexOf(bytes), encode: fromHex, size: (text) => text.length >>> 1 },
  };
  const aliases = { 'utf-8': 'utf8', ucs2: 'utf16le', 'ucs-2': 'utf16le', 'utf-16le': 'utf16le', binary: 'latin1' };

  function codecOf(encoding) {
    const name = String(encoding).toLowerCase();
    const known = Object.hasOwn(aliases, name) ? aliases[name] : name;
    return Object.hasOwn(codecs, known) ? codecs[known] : undefined;
  }

  function requireCodec(encoding) {
    if (encoding === undefined || encoding === null || encoding === '') return codecs.utf8;
    const codec = codecOf(encoding);
    if (!codec) throw failure(TypeError, 'ERR_UNKNOWN_ENCODING', `Unknown encoding: ${encoding}`);
    return codec;
  }

  // Making buffers.

  function Buffer(value, encodingOrOffset, length) {
    if (typeof value === 'number') {
      if (typeof encodingOrOffset === 'string') throw wrongType('string', 'of type string', value);
      return Buffer.alloc(value);
    }
    return Buffer.from(value, encodingOrOffset, length);
  }

  function fromText(text, encoding) {
    const codec = typeof encoding === 'string' && encoding !== '' ? requireCodec(encoding) : codecs.utf8;
    return codec.encode(text);
  }

  function fromArrayLike(value) {
    const length = value.length;
    if (!(length > 0)) return new FastBuffer(0);
    const bytes = new FastBuffer(length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = value[i];
    return bytes;
  }

  function fromArrayBuffer(value, offset, length) {
    offset = offset === undefined ? 0 : +offset || 0;
    const most = value.byteLength - offset;
    if (most < 0) throw failure(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', '"offset" is outside of buffer bounds');
    if (length === undefined) {
      length = most;
    } else {
      length = +length;
      if (!(length > 0)) length = 0;
      else if (length > most) throw failure(RangeError, 'ERR_BUFFER_OUT_OF_BOUNDS', '"length" is outside of buffer bounds');
    }
    return new FastBuffer(value, offset, length);
  }

  function fromObject(value) {
    if (value.length !== undefined || value.buffer instanceof ArrayBuffer) {
      return typeof value.length === 'number' ? fromArrayLike(value) : new FastBuffer(0);
    }
    if (value.type === 'Buffer' && Array.isArray(value.data)) return fromArrayLike(value.data);
    return undefined;
  }

  function from(value, encodingOrOffset, length) {
    if (typeof value === 'string') return fromText(value, encodingOrOffset);
    if (typeof value === 'object' && value !== null) {
      if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
        return fromArrayBuffer(value, encodingOrOffset, length);
      }
      const primitive = value.valueOf && value.valueOf();
      if (primitive != null && primitive !== value && (typeof primitive === 'string' || typeof primitive === 'object')) {
        return from(primitive, encodingOrOffset, length);
      }
      const made = fromObject(value);
      if (made) return made;
      if (typeof value[Symbol.toPrimitive] === 'function') {
        const text = value[Symbol.toPrimitive]('string');
        if (typeof text === 'string') return fromText(text, encodingOrOffset);
      }
    }
    throw wrongType('first argument', 'of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object', value);
  }

  function alloc(size, fill, encoding) {
    requireSize(size);
    const buffer = new FastBuffer(size);
    return fill !== undefined && fill !== 0 && size > 0 ? buffer.fill(fill, encoding) : buffer;
  }

  function compare(a, b) {
    const length = Math.min(a.length, b.length);
    for (let i = 0; i < length; i++) {
      if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
    }
    return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
  }

  const statics = {
    from,
    alloc,
    allocUnsafe: (size) => alloc(size),
    allocUnsafeSlow: (size) => alloc(size),
    isBuffer: (value) => value instanceof Buffer,
    isEncoding: (encoding) => typeof encoding === 'string' && encoding.length !== 0 && codecOf(encoding) !== undefined,
    byteLength(value, encoding) {
      if (typeof value !== 'string') {
        if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return value.byteLength;
        throw wrongType('string', 'of type string or an instance of Buffer or ArrayBuffer', value);
      }
      return (codecOf(encoding) || codecs.utf8).size(value);
    },
    compare(a, b) {
      requireBytes(a, 'buf1');
      requireBytes(b, 'buf2');
      return compare(a, b);
    },
    concat(list, length) {
      if (!Array.isArray(list)) throw wrongType('list', 'an instance of Array', list);
      list.forEach((item, i) => requireBytes(item, `list[${i}]`));
      if (length === undefined) length = list.reduce((sum, item) => sum + item.length, 0);
      else requireSize(length);
      const buffer = new FastBuffer(length);
      let at = 0;
      for (const item of list) {
        if (at + item.length > length) {
          setBytes(buffer, item.subarray(0, length - at), at);
          break;
        }
        setBytes(buffer, item, at);
        at += item.length;
      }
      return buffer;
    },
    of: (...items) => fromArrayLike(items),
    copyBytesFrom: (view, offset = 0, length = view.length - offset) =>
      from(view.slice(offset, offset + length).buffer),
  };
  Object.setPrototypeOf(Buffer, Uint8Array);
  Object.assign(Buffer, statics);
  Buffer.poolSize = 8192;
  Buffer.prototype = FastBuffer.prototype;

  // Reading and writing numbers.

  const proto = FastBuffer.prototype;
  const view = new DataView(new ArrayBuffer(8));

  function readUnsigned(buffer, offset, size, little) {
    requireRoom(buffer, offset, size);
    let value = 0;
    if (little) for (let i = size - 1; i >= 0; i--) value = value * 256 + buffer[offset + i];
    else for (let i = 0; i < size; i++) value = value * 256 + buffer[offset + i];
    return value;
  }

  function readSigned(buffer, offset, size, little) {
    const value = readUnsigned(buffer, offset, size, little);
    const half = 2 ** (8 * size - 1);
    return value >= half ? value - 2 * half : value;
  }

  function requireValue(value, min, max, size) {
    if (value > max || value < min) {
      const n = typeof min === 'bigint' ? 'n' : '';
      let range = `>= ${min}${n} and <= ${max}${n}`;
      if (size > 4) {
        const bits = 8 * size;
        range = min == 0 ? `>= 0${n} and < 2${n} ** ${bits}${n}` : `>= -(2${n} ** ${bits - 1}${n}) and < 2${n} ** ${bits - 1}${n}`;
      }
      throw outOfRange('value', range, value);
    }
  }

  function writeInteger(buffer, value, offset, size, little, min, max) {
    value = +value;
    if (size === 1) requireNumber(offset, 'offset');
    requireValue(value, min, max, size);
    requireRoom(buffer, offset, size);
    let rest = Math.trunc(value) || 0;
    if (rest < 0) rest += 2 ** (8 * size);
    for (let i = 0; i < size; i++) {
      buffer[little ? offset + i : offset + size - 1 - i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    return offset + size;
  }

  for (const little of [true, false]) {
    const order = little ? 'LE' : 'BE';
    for (const size of [1, 2, 4]) {
      if (size === 1 && !little) continue;
      const suffix = size === 1 ? '8' : 8 * size + order;
      const full = 2 ** (8 * size);
      proto['readUInt' + suffix] = function (offset = 0) { return readUnsigned(this, offset, size, little); };
      proto['readInt' + suffix] = function (offset = 0) { return readSigned(this, offset, size, little); };
      proto['writeUInt' + suffix] = function (value, offset = 0) { return writeInteger(this, value, offset, size, little, 0, full - 1); };
      proto['writeInt' + suffix] = function (value, offset = 0) { return writeInteger(this, value, offset, size, little, -full / 2, full / 2 - 1); };
    }
    const sized = (read) => function (offset, size) {
      if (offset === undefined) throw wrongType('offset', 'of type number', offset);
      if (!(Number.isInteger(size) && size >= 1 && size <= 6)) outOfBounds(size, 6, 'byteLength');
      return read(this, offset, size, little);
    };
    proto['readUInt' + order] = sized(readUnsigned);
    proto['readInt' + order] = sized(readSigned);
    for (const signed of [false, true]) {
      proto[(signed ? 'writeInt' : 'writeUInt') + order] = function (value, offset, size) {
        if (!(Number.isInteger(size) && size >= 1 && size <= 6)) outOfBounds(size, 6, 'byteLength');
        const full = 2 ** (8 * size);
        return signed
          ? writeInteger(this, value, offset, size, little, -full / 2, full / 2 - 1)
          : writeInteger(this, value, offset, size, little, 0, full - 1);
      };
    }
    for (const [name, size, get, set] of [
      ['Float', 4, view.getFloat32, view.setFloat32],
      ['Double', 8, view.getFloat64, view.setFloat64],
      ['BigInt64', 8, view.getBigInt64, view.setBigInt64],
      ['BigUInt64', 8, view.getBigUint64, view.setBigUint64],
    ]) {
      const big = size === 8 && name !== 'Double';
      const limits = name === 'BigInt64' ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
      proto['read' + name + order] = function (offset = 0) {
        requireRoom(this, offset, size);
        for (let i = 0; i < size; i++) view.setUint8(i, this[offset + i]);
        return get.call(view, 0, little);
      };
      proto['write' + name + order] = function (value, offset = 0) {
        if (big) requireValue(value, limits[0], limits[1], size);
        else value = +value;
        requireRoom(this, offset, size);
        set.call(view, 0, value, little);
        for (let i = 0; i < size; i++) this[offset + i] = view.getUint8(i);
        return offset + size;
      };
    }
  }
  for (const name of Object.keys(proto)) {
    if (name.includes('UInt')) proto[name.replace('UInt', 'Uint')] = proto[name];
  }

  // Everything else.

  function clamp(value, length, fallback) {
    if (value === undefined) return fallback;
    value = Math.trunc(+value) || 0;
    return value < 0 ? Math.max(length + value, 0) : Math.min(value, length);
  }

  function part(buffer, start, end) {
    start = clamp(start, buffer.length, 0);
    end = clamp(end, buffer.length, buffer.length);
    return new FastBuffer(buffer.buffer, buffer.byteOffset + start, Math.max(end - start, 0));
  }

  function needle(value, encoding) {
    if (typeof value === 'string') return fromText(value, encoding);
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'number') return new FastBuffer([value]);
    throw wrongType('value', 'one of type number or string or an instance of Buffer or Uint8Array', value);
  }

  function search(buffer, value, offset, encoding, forwards) {
    if (typeof offset === 'string') {
      encoding = offset;
      offset = undefined;
    }
    offset = +offset;
    const wanted = needle(value, encoding);
    const last = buffer.length - wanted.length;
    let at = Number.isNaN(offset) ? (forwards ? 0 : buffer.length) : Math.trunc(offset);
    if (at < 0) at += buffer.length;
    if (at < 0) {
      if (!forwards) return -1;
      at = 0;
    }
    if (wanted.length === 0) return Math.min(at, buffer.length);
    if (!forwards) at = Math.min(at, last);
    for (; at >= 0 && at <= last; at += forwards ? 1 : -1) {
      let i = 0;
      while (i < wanted.length && buffer[at + i] === wanted[i]) i++;
      if (i === wanted.length) return at;
    }
    return -1;
  }

  function swap(buffer, size) {
    if (buffer.length % size !== 0) {
      throw failure(RangeError, 'ERR_INVALID_BUFFER_SIZE', `Buffer size must be a multiple of ${8 * size}-bits`);
    }
    for (let at = 0; at < buffer.length; at += size) buffer.subarray(at, at + size).reverse();
    return buffer;
  }

  Object.assign(proto, {
    toString(encoding, start, end) {
      if (arguments.length === 0) return utf8Decode(this);
      start = start <= 0 ? 0 : Math.trunc(start) || 0;
      if (start >= this.length) return '';
      if (end === undefined) end = this.length;
      else end = Math.min(Math.trunc(end) || 0, this.length);
      if (end <= start) return '';
      const codec = requireCodec(encoding);
      return codec.decode(start === 0 && end === this.length ? this : this.subarray(start, end));
    },
    toLocaleString(encoding, start, end) {
      return this.toString(encoding, start, end);
    },
    toJSON() {
      return { type: 'Buffer', data: Array.from(this) };
    },
    [inspect]() {
      const hex = hexOf(this.subarray(0, 50)).replace(pairs, '$1 ');
      const more = this.length - 50;
      return `<Buffer${hex && ' ' + hex}${more > 0 ? ` ... ${more} more byte${more > 1 ? 's' : ''}` : ''}>`;
    },
    slice(start, end) { return part(this, start, end); },
    subarray(start, end) { return part(this, start, end); },
    equals(other) {
      requireBytes(other, 'otherBuffer');
      return this === other || compare(this, other) === 0;
    },
    compare(target, targetStart = 0, targetEnd, start = 0, end) {
      requireBytes(target, 'target');
      const theirs = target.subarray(targetStart, targetEnd ?? target.length);
      return compare(this.subarray(start, end ?? this.length), theirs);
    },
    indexOf(value, offset, encoding) { return search(this, value, offset, encoding, true); },
    lastIndexOf(value, offset, encoding) { return search(this, value, offset, encoding, false); },
    includes(value, offset, encoding) { return search(this, value, offset, encoding, true) !== -1; },
    copy(target, targetStart, start, end) {
      requireBytes(target, 'target');
      targetStart = Math.trunc(targetStart) || 0;
      start = Math.trunc(start) || 0;
      end = end === undefined ? this.length : Math.trunc(end) || 0;
      if (targetStart < 0) throw outOfRange('targetStart', '>= 0', targetStart);
      if (start < 0 || start > this.length) throw outOfRange('sourceStart', `>= 0 && <= ${this.length}`, start);
      if (end < 0) throw outOfRange('sourceEnd', '>= 0', end);
      if (targetStart >= target.length || start >= end) return 0;
      const count = Math.min(end - start, target.length - targetStart, this.length - start);
      setBytes(target, this.subarray(start, start + count), targetStart);
      return count;
    },
    fill(value, offset, end, encoding) {
      if (typeof value === 'string') {
        if (typeof offset === 'string') [encoding, offset, end] = [offset, 0, this.length];
        else if (typeof end === 'string') [encoding, end] = [end, this.length];
      }
      if (offset === undefined) {
        offset = 0;
        end = this.length;
      } else {
        requireNumber(offset, 'offset');
        if (!(offset >= 0)) throw outOfRange('offset', '>= 0', offset);
        if (end === undefined) {
          end = this.length;
        } else {
          requireNumber(end, 'end');
          if (!(end >= 0 && end <= this.length)) throw outOfRange('end', `>= 0 && <= ${this.length}`, end);
        }
        if (offset >= end) return this;
      }
      if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
        fillBytes(this, typeof value === 'boolean' ? +value : value & 255, offset, end);
        return this;
      }
      const bytes = typeof value === 'string' ? requireCodec(encoding).encode(value) : value;
      if (bytes.length === 0) {
        if (typeof value === 'string' && value === '') fillBytes(this, 0, offset, end);
        else throw failure(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument 'value' is invalid. Received ${shown(value)}`);
        return this;
      }
      for (let i = offset; i < end; i++) this[i] = bytes[(i - offset) % bytes.length];
      return this;
    },
    write(text, offset, length, encoding) {
      if (typeof offset === 'string') [encoding, offset, length] = [offset, undefined, undefined];
      else if (typeof length === 'string') [encoding, length] = [length, undefined];
      requireString(text, 'argument');
      const at = offset === undefined ? 0 : offset;
      requireNumber(at, 'offset');
      if (!(Number.isInteger(at) && at >= 0 && at <= this.length)) throw outOfRange('offset', `>= 0 && <= ${this.length}`, at);
      const room = Math.min(length === undefined ? this.length - at : length, this.length - at);
      const codec = requireCodec(encoding);
      let bytes = codec.encode(text);
      if (bytes.length > room) {
        let fits = room;
        // No part of a character.
        if (codec === codecs.utf8) while (fits > 0 && (bytes[fits] & 0xc0) === 0x80) fits--;
        else if (codec === codecs.utf16le) fits &= ~1;
        bytes = bytes.subarray(0, fits);
      }
      setBytes(this, bytes, at);
      return bytes.length;
    },
    swap16() { return swap(this, 2); },
    swap32() { return swap(this, 4); },
    swap64() { return swap(this, 8); },
  });
  for (const [name, codec] of [['utf8', 'utf8'], ['latin1', 'latin1'], ['ascii', 'ascii'], ['hex', 'hex'], ['base64', 'base64'], ['base64url', 'base64url'], ['ucs2', 'utf16le']]) {
    proto[name + 'Slice'] = function (start = 0, end = this.length) { return codecs[codec].decode(this.subarray(start, end)); };
    proto[name + 'Write'] = function (text, offset, length) { return this.write(text, offset ?? 0, length ?? this.length, codec); };
  }
  hide(proto, 'constructor', Buffer);
  for (const [name, key] of [['parent', 'buffer'], ['offset', 'byteOffset']]) {
    Object.defineProperty(proto, name, {
      enumerable: true,
      get() { return this instanceof Buffer ? this[key] : undefined; },
    });
  }
  hide(globalThis, 'Buffer', Buffer);
})
