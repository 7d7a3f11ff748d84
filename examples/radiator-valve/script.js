// Warmwerk TV-1: a thermostatic radiator valve that is read and set.
//
// An uplink on port 10 has 8 bytes, the low byte first:
//
//   int16   temperature of the room in 0.01 °C
//   uint8   how far the valve is open, in percent
//   uint8   battery in 0.02 V
//   uint8   target temperature in 0.5 °C
//   uint16  minutes between two uplinks
//   uint8   bit 0: the wheel is locked
//
// A downlink on port 20 is commands, one after another, each a byte that names the setting and its value. A setting that
// is not named stays as it is.

const UPLINK_PORT = 10;
const UPLINK_BYTES = 8;
const DOWNLINK_PORT = 20;

const COMMANDS = [
  {
    code: 0x01,
    name: "target",
    bytes: 1,
    problem: (value) => (value < 5 || value > 30 || !Number.isInteger(value * 2)) && "must be 5 to 30 in steps of 0.5",
    write: (value) => [value * 2],
    read: ([low]) => low / 2,
  },
  {
    code: 0x02,
    name: "report_interval",
    bytes: 2,
    problem: (value) => (value < 10 || value > 1440 || !Number.isInteger(value)) && "must be 10 to 1440 minutes",
    write: (value) => [value & 0xff, value >> 8],
    read: ([low, high]) => low | (high << 8),
  },
  {
    code: 0x03,
    name: "child_lock",
    bytes: 1,
    problem: (value) => typeof value !== "boolean" && "must be true or false",
    write: (value) => [Number(value)],
    read: ([low]) => low === 1,
  },
];

function decodeUplink({ bytes, fPort }) {
  if (fPort !== UPLINK_PORT) return { errors: [`port ${fPort} is unknown`] };
  if (bytes.length !== UPLINK_BYTES) return { errors: [`an uplink has ${UPLINK_BYTES} bytes, and this one ${bytes.length}`] };
  const buffer = Buffer.from(bytes);
  return {
    data: {
      temperature: buffer.readInt16LE(0) / 100,
      opening: buffer.readUInt8(2),
      battery: buffer.readUInt8(3) / 50,
      target: buffer.readUInt8(4) / 2,
      report_interval: buffer.readUInt16LE(5),
      child_lock: (buffer.readUInt8(7) & 1) === 1,
    },
  };
}

function encodeDownlink({ data }) {
  const errors = [];
  const bytes = [];
  for (const [name, value] of Object.entries(data)) {
    const command = COMMANDS.find((command) => command.name === name);
    const problem = command ? command.problem(value) : "cannot be set";
    if (problem) errors.push(`${name}: ${problem}`);
    else bytes.push(command.code, ...command.write(value));
  }
  return errors.length > 0 ? { errors } : { bytes, fPort: DOWNLINK_PORT };
}

function decodeDownlink({ bytes, fPort }) {
  if (fPort !== DOWNLINK_PORT) return { errors: [`port ${fPort} is unknown`] };
  const data = {};
  for (let at = 0; at < bytes.length; ) {
    const command = COMMANDS.find((command) => command.code === bytes[at]);
    if (!command) return { errors: [`command ${bytes[at]} at byte ${at} is unknown`] };
    const end = at + 1 + command.bytes;
    if (end > bytes.length) return { errors: [`${command.name} at byte ${at} is cut off`] };
    data[command.name] = command.read(bytes.slice(at + 1, end));
    at = end;
  }
  return { data };
}
