// Nordbeck P1: a sensor in the ground that tells whether a car stands above it.
//
// A frame is 5 bytes of fields that do not keep to the bounds of bytes, the highest bit first:
//
//   3 bits  version of the protocol, always 1
//   1 bit   a car is there
//   1 bit   the battery is nearly empty
//   3 bits  why the frame was sent
//   7 bits  battery in percent
//   9 bits  minutes since the last change; 511 stands for 511 and more
//   8 bits  temperature in °C, plus 40
//   8 bits  frames since the restart, modulo 256

class BitReader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  take(count) {
    let value = 0;
    for (const end = this.#at + count; this.#at < end; this.#at++) {
      const byte = this.#bytes[this.#at >> 3];
      value = (value << 1) | ((byte >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }
}

const REASONS = ["heartbeat", "change", "button", "restart"];
const FRAME_BYTES = 5;
const VERSION = 1;
const MINUTES_MAX = 511;

function decodeUplink({ bytes }) {
  if (bytes.length !== FRAME_BYTES) {
    return { errors: [`a frame has ${FRAME_BYTES} bytes, and this one ${bytes.length}`] };
  }
  const bits = new BitReader(bytes);
  const version = bits.take(3);
  if (version !== VERSION) return { errors: [`version ${version} of the protocol is unknown`] };

  const warnings = [];
  const occupied = bits.take(1) === 1;
  if (bits.take(1) === 1) warnings.push("the battery is nearly empty");
  const reason = bits.take(3);
  const battery = bits.take(7);
  const minutes = bits.take(9);
  return {
    data: {
      occupied,
      reason: REASONS[reason] ?? `unknown (${reason})`,
      battery,
      minutes_since_change: minutes,
      is_longer: minutes === MINUTES_MAX,
      temperature: bits.take(8) - 40,
      frame: bits.take(8),
    },
    warnings,
  };
}
