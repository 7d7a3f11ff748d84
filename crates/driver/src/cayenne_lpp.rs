//! Cayenne Low Power Payload: a sequence of readings, each with a channel, a type, and the bytes of that
//! type. The types are those of the public description and common IPSO types beyond it; the fields are named
//! as in The Things Stack, `temperature_1` and so on.

use serde_json::{Map, Number, Value};

/// A type of reading.
struct Reading {
    id: u8,
    name: &'static str,
    form: Form,
}

enum Form {
    /// A single number.
    One(Quantity),
    /// Several numbers, each with a name.
    Several(&'static [(&'static str, Quantity)]),
}

/// A big-endian number of `bytes` bytes, in units of one `per_unit`th.
#[derive(Clone, Copy)]
struct Quantity {
    bytes: usize,
    signed: bool,
    per_unit: u16,
}

const fn unsigned(bytes: usize, per_unit: u16) -> Quantity {
    Quantity {
        bytes,
        signed: false,
        per_unit,
    }
}

const fn signed(bytes: usize, per_unit: u16) -> Quantity {
    Quantity {
        signed: true,
        ..unsigned(bytes, per_unit)
    }
}

const READINGS: [Reading; 26] = {
    use Form::{One, Several};
    const fn is(id: u8, name: &'static str, form: Form) -> Reading {
        Reading { id, name, form }
    }
    [
        is(0, "digital_in", One(unsigned(1, 1))),
        is(1, "digital_out", One(unsigned(1, 1))),
        is(2, "analog_in", One(signed(2, 100))),
        is(3, "analog_out", One(signed(2, 100))),
        is(100, "generic", One(unsigned(4, 1))),
        is(101, "luminosity", One(unsigned(2, 1))),
        is(102, "presence", One(unsigned(1, 1))),
        is(103, "temperature", One(signed(2, 10))),
        is(104, "relative_humidity", One(unsigned(1, 2))),
        is(
            113,
            "accelerometer",
            Several(&[
                ("x", signed(2, 1000)),
                ("y", signed(2, 1000)),
                ("z", signed(2, 1000)),
            ]),
        ),
        is(115, "barometric_pressure", One(unsigned(2, 10))),
        is(116, "voltage", One(unsigned(2, 100))),
        is(117, "current", One(unsigned(2, 1000))),
        is(118, "frequency", One(unsigned(4, 1))),
        is(120, "percentage", One(unsigned(1, 1))),
        is(121, "altitude", One(signed(2, 1))),
        is(125, "concentration", One(unsigned(2, 1))),
        is(128, "power", One(unsigned(2, 1))),
        is(130, "distance", One(unsigned(4, 1000))),
        is(131, "energy", One(unsigned(4, 1000))),
        is(132, "direction", One(unsigned(2, 1))),
        is(133, "unixtime", One(unsigned(4, 1))),
        is(
            134,
            "gyrometer",
            Several(&[
                ("x", signed(2, 100)),
                ("y", signed(2, 100)),
                ("z", signed(2, 100)),
            ]),
        ),
        is(
            135,
            "colour",
            Several(&[
                ("r", unsigned(1, 1)),
                ("g", unsigned(1, 1)),
                ("b", unsigned(1, 1)),
            ]),
        ),
        is(
            136,
            "gps",
            Several(&[
                ("latitude", signed(3, 10_000)),
                ("longitude", signed(3, 10_000)),
                ("altitude", signed(3, 100)),
            ]),
        ),
        is(142, "switch", One(unsigned(1, 1))),
    ]
};

/// Decodes readings, each under its type's name and its channel. Of two readings of one type and channel the
/// last one counts. The error names the offset of the byte at which decoding failed.
pub fn decode(payload: &[u8]) -> Result<Map<String, Value>, String> {
    let mut data = Map::new();
    let mut rest = payload;
    while let Some((&channel, after)) = rest.split_first() {
        let at = payload.len() - rest.len();
        let Some((&id, after)) = after.split_first() else {
            return Err(format!("byte {at}: channel {channel} has no type"));
        };
        let Some(reading) = READINGS.iter().find(|reading| reading.id == id) else {
            return Err(format!(
                "byte {}: there is no type {id} (channel {channel})",
                at + 1
            ));
        };
        let length = reading.form.bytes();
        let Some((bytes, after)) = after.split_at_checked(length) else {
            return Err(format!(
                "byte {}: {} of channel {channel} needs {length} bytes, and has {}",
                at + 2,
                reading.name,
                after.len()
            ));
        };
        data.insert(
            format!("{}_{channel}", reading.name),
            reading.form.read(bytes),
        );
        rest = after;
    }
    Ok(data)
}

/// Encodes readings in their order, as the inverse of [`decode`]. The error names the field.
pub fn encode(data: &Map<String, Value>) -> Result<Vec<u8>, String> {
    let mut payload = Vec::new();
    for (field, value) in data {
        let (name, channel) = field
            .rsplit_once('_')
            .and_then(|(name, channel)| Some((name, channel.parse::<u8>().ok()?)))
            .ok_or_else(|| {
                format!("{field}: must end in _ and a channel from 0 to 255, as temperature_1 does")
            })?;
        let reading = READINGS
            .iter()
            .find(|reading| reading.name == name)
            .ok_or_else(|| format!("{field}: there is no type {name}"))?;
        payload.extend([channel, reading.id]);
        let written = reading.form.write(value, &mut payload);
        written.map_err(|rule| format!("{field}{rule}"))?;
    }
    Ok(payload)
}

impl Form {
    /// Appends the bytes of a value; the error is the broken rule, which follows the name of the field.
    fn write(&self, value: &Value, payload: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::One(quantity) => quantity
                .write(value, payload)
                .map_err(|rule| format!(": {rule}")),
            Self::Several(quantities) => quantities.iter().try_for_each(|(name, quantity)| {
                quantity
                    .write(&value[*name], payload)
                    .map_err(|rule| format!(".{name}: {rule}"))
            }),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::One(quantity) => quantity.bytes,
            Self::Several(quantities) => quantities.iter().map(|(_, q)| q.bytes).sum(),
        }
    }

    /// Reads `bytes`, as many as it needs.
    fn read(&self, mut bytes: &[u8]) -> Value {
        let mut next = |quantity: &Quantity| {
            let (own, after) = bytes.split_at(quantity.bytes.min(bytes.len()));
            bytes = after;
            quantity.read(own)
        };
        match self {
            Self::One(quantity) => next(quantity),
            Self::Several(quantities) => quantities
                .iter()
                .map(|(name, quantity)| ((*name).to_owned(), next(quantity)))
                .collect(),
        }
    }
}

impl Quantity {
    /// Returns the nearest number that the type can represent; numbers beyond its range are an error.
    fn write(self, value: &Value, payload: &mut Vec<u8>) -> Result<(), String> {
        let bits = 8 * self.bytes;
        let (least, most) = match self.signed {
            true => (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1),
            false => (0, (1_i64 << bits) - 1),
        };
        let per_unit = f64::from(self.per_unit);
        let number = match value {
            Value::Bool(value) => Some(f64::from(*value)),
            value => value.as_f64(),
        };
        let scaled = number
            .map(|number| (number * per_unit).round())
            .filter(|scaled| (least as f64..=most as f64).contains(scaled))
            .ok_or_else(|| {
                let (least, most) = (least as f64 / per_unit, most as f64 / per_unit);
                format!("must be a number from {least} to {most}")
            })?;
        // Within at most 32 bits, as just checked; two's complement drops what a sign fills up.
        let bytes = (scaled as i64).to_be_bytes();
        payload.extend(&bytes[bytes.len() - self.bytes..]);
        Ok(())
    }

    fn read(self, bytes: &[u8]) -> Value {
        let magnitude = bytes
            .iter()
            .fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        let bits = 8 * self.bytes;
        let is_negative = self.signed && magnitude >> (bits - 1) == 1;
        let number = if is_negative {
            magnitude - (1 << bits)
        } else {
            magnitude
        };
        if self.per_unit == 1 {
            return number.into();
        }
        // At most 32 bits: exact as a float, and so is what its decimal digits say.
        let scaled = number as f64 / f64::from(self.per_unit);
        Number::from_f64(scaled).map_or(Value::Null, Value::Number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decoded(hex: &str) -> Value {
        Value::Object(decode(&hex::decode(hex).unwrap()).unwrap())
    }

    fn refused(hex: &str) -> String {
        decode(&hex::decode(hex).unwrap()).unwrap_err()
    }

    #[test]
    fn the_examples_of_the_public_description() {
        assert_eq!(
            decoded("03670110056700FF"),
            json!({"temperature_3": 27.2, "temperature_5": 25.5})
        );
        assert_eq!(
            decoded("0167FFD7067104D2FB2E0000"),
            json!({"temperature_1": -4.1,
                   "accelerometer_6": {"x": 1.234, "y": -1.234, "z": 0.0}})
        );
        assert_eq!(
            decoded("018806765ff2960a0003e8"),
            json!({"gps_1": {"latitude": 42.3519, "longitude": -87.9094, "altitude": 10.0}})
        );
    }

    #[test]
    fn every_type_has_its_size_sign_and_unit() {
        for (hex, name, expected) in [
            ("0100ff", "digital_in_1", json!(255)),
            ("020164", "digital_out_2", json!(100)),
            ("0302154a", "analog_in_3", json!(54.5)),
            ("0403eab6", "analog_out_4", json!(-54.5)),
            ("0064ffffffff", "generic_0", json!(4294967295u32)),
            ("ff6501f4", "luminosity_255", json!(500)),
            ("066632", "presence_6", json!(50)),
            ("0767ff64", "temperature_7", json!(-15.6)),
            ("0868a1", "relative_humidity_8", json!(80.5)),
            (
                "0971fe58000f0682",
                "accelerometer_9",
                json!({"x": -0.424, "y": 0.015, "z": 1.666}),
            ),
            ("0a73ffff", "barometric_pressure_10", json!(6553.5)),
            ("0b740172", "voltage_11", json!(3.7)),
            ("0c7504d2", "current_12", json!(1.234)),
            ("0d760000c350", "frequency_13", json!(50000)),
            ("0e7864", "percentage_14", json!(100)),
            ("0f79fff6", "altitude_15", json!(-10)),
            ("107d0190", "concentration_16", json!(400)),
            ("118007d0", "power_17", json!(2000)),
            ("1282000004d2", "distance_18", json!(1.234)),
            ("1383000004d2", "energy_19", json!(1.234)),
            ("1484010e", "direction_20", json!(270)),
            ("158565b9b9b0", "unixtime_21", json!(1706670512)),
            (
                "16860163 0231fe66",
                "gyrometer_22",
                json!({"x": 3.55, "y": 5.61, "z": -4.1}),
            ),
            (
                "1787ff8000",
                "colour_23",
                json!({"r": 255, "g": 128, "b": 0}),
            ),
            (
                "188807fd8700bef500086a",
                "gps_24",
                json!({"latitude": 52.3655, "longitude": 4.8885, "altitude": 21.54}),
            ),
            ("198e01", "switch_25", json!(1)),
        ] {
            assert_eq!(
                decoded(&hex.replace(' ', "")),
                json!({name: expected}),
                "{hex}"
            );
        }
        let mut ids: Vec<_> = READINGS.iter().map(|reading| reading.id).collect();
        ids.dedup();
        assert!(ids.is_sorted() && ids.len() == READINGS.len());
    }

    #[test]
    fn what_is_malformed_is_told_with_its_byte() {
        assert_eq!(decoded(""), json!({}));
        assert_eq!(
            refused("036701"),
            "byte 2: temperature of channel 3 needs 2 bytes, and has 1"
        );
        assert_eq!(refused("0367011005"), "byte 4: channel 5 has no type");
        assert_eq!(
            refused("0367011005ff01"),
            "byte 5: there is no type 255 (channel 5)"
        );
        assert_eq!(
            refused("0188"),
            "byte 2: gps of channel 1 needs 9 bytes, and has 0"
        );
    }

    #[test]
    fn of_two_readings_of_one_channel_the_last_counts() {
        assert_eq!(decoded("0167000a01670014"), json!({"temperature_1": 2.0}));
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let data = json!({"digital_out_1": 1, "temperature_3": -4.1, "relative_humidity_4": 50.5,
            "gps_24": {"latitude": 52.3655, "longitude": -4.8885, "altitude": 21.54}});
        let payload = encode(data.as_object().unwrap()).unwrap();
        assert_eq!(Value::Object(decode(&payload).unwrap()), data);
        let refused = |data: Value| encode(data.as_object().unwrap()).unwrap_err();
        assert_eq!(
            refused(json!({"temperature_1": 4000})),
            "temperature_1: must be a number from -3276.8 to 3276.7"
        );
        assert_eq!(
            refused(json!({"gyrometer_1": {"x": 1, "y": 2}})),
            "gyrometer_1.z: must be a number from -327.68 to 327.67"
        );
        assert_eq!(refused(json!({"led_1": 1})), "led_1: there is no type led");
        assert!(refused(json!({"temperature": 1})).contains("must end in _ and a channel"));
    }

    proptest! {
        #[test]
        fn survives_any_payload(payload in proptest::collection::vec(any::<u8>(), 0..260)) {
            let _ = decode(&payload);
        }
    }
}
