// Milesight AM102: an indoor sensor of temperature and humidity.
//
// Its payload is a list of readings, each one byte of channel, one byte of type and then the value,
// whose length the type decides; numbers of several bytes have their low byte first.

const READINGS = {
  "01 75": { name: "battery", bytes: 1, read: (view, at) => view.getUint8(at) }, // %
  "03 67": { name: "temperature", bytes: 2, read: (view, at) => view.getInt16(at, true) / 10 }, // °C
  "04 68": { name: "humidity", bytes: 1, read: (view, at) => view.getUint8(at) / 2 }, // %RH
};

function decodeUplink(input) {
  const bytes = Uint8Array.from(input.bytes);
  const view = new DataView(bytes.buffer);
  const data = {};
  for (let at = 0; at < bytes.length; ) {
    const key = [...bytes.slice(at, at + 2)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const reading = READINGS[key];
    // Without the type nothing tells how long the value is, so the rest cannot be read either.
    if (!reading) return { data, warnings: [`unknown reading ${key} at byte ${at}`] };
    if (at + 2 + reading.bytes > bytes.length) return { errors: [`${reading.name} at byte ${at} is cut off`] };
    data[reading.name] = reading.read(view, at + 2);
    at += 2 + reading.bytes;
  }
  return { data };
}
