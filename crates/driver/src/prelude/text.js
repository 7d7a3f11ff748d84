// TextEncoder and TextDecoder.
(function (native) {
  'use strict';
  const { utf8Encode, utf8Decode, utf8Check } = native;
  const labels = {
    'utf-8': ['utf-8', 'utf8', 'unicode-1-1-utf-8'],
    'utf-16le': ['utf-16le', 'utf-16', 'ucs-2', 'unicode'],
    'windows-1252': ['latin1', 'iso-8859-1', 'ascii', 'us-ascii', 'windows-1252', 'cp1252'],
  };
  const failure = (Type, code, message) => {
    const error = new Type(message);
    Object.defineProperty(error, 'toString', {
      value() { return `${this.name} [${code}]: ${this.message}`; },
      writable: true, enumerable: false, configurable: true,
    });
    error.code = code;
    return error;
  };

  class TextEncoder {
    get encoding() { return 'utf-8'; }
    encode(text = '') { return utf8Encode(`${text}`); }
    encodeInto(text, target) {
      let read = 0;
      let written = 0;
      for (const character of `${text}`) {
        const bytes = utf8Encode(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += character.length;
      }
      return { read, written };
    }
  }

  class TextDecoder {
    #encoding;
    #fatal;
    #ignoreBOM;
    constructor(label = 'utf-8', options = {}) {
      const wanted = `${label}`.trim().toLowerCase();
      this.#encoding = Object.keys(labels).find((name) => labels[name].includes(wanted));
      if (!this.#encoding) {
        throw failure(RangeError, 'ERR_ENCODING_NOT_SUPPORTED', `The "${label}" encoding is not supported`);
      }
      this.#fatal = !!options?.fatal;
      this.#ignoreBOM = !!options?.ignoreBOM;
    }
    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(input = new Uint8Array(0)) {
      let bytes;
      if (ArrayBuffer.isView(input)) bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
      else if (input instanceof ArrayBuffer || input instanceof SharedArrayBuffer) bytes = new Uint8Array(input);
      else throw failure(TypeError, 'ERR_INVALID_ARG_TYPE', 'The "list" argument must be an instance of SharedArrayBuffer, ArrayBuffer or ArrayBufferView.');
      let text = '';
      if (this.#encoding === 'utf-8') {
        if (this.#fatal && !utf8Check(bytes)) {
          const error = new TypeError('The encoded data was not valid for encoding utf-8');
          error.code = 'ERR_ENCODING_INVALID_ENCODED_DATA';
          throw error;
        }
        text = utf8Decode(bytes);
      } else if (this.#encoding === 'utf-16le') {
        for (let i = 0; i + 1 < bytes.length; i += 2) text += String.fromCharCode(bytes[i] | (bytes[i + 1] << 8));
        if (bytes.length % 2) text += '\ufffd';
        text = text.toWellFormed();
      } else {
        for (const byte of bytes) text += String.fromCharCode(byte);
      }
      return !this.#ignoreBOM && this.#encoding !== 'windows-1252' && text[0] === '\ufeff' ? text.slice(1) : text;
    }
  }

  for (const [name, value] of [['TextEncoder', TextEncoder], ['TextDecoder', TextDecoder]]) {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  }
})
