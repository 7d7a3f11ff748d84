//! Parsing that the adapters of LoRaWAN network servers share.

use serde_json::Value;

use super::{
    device_id::{fold_network_device_id, is_eui},
    event::{Radio, Reception, Report},
    malformed::Malformed,
    read::{MAX_RECEPTIONS, at, level, number, text, whole_number},
};

/// Returns the DevEUI at a path; `None` if it is absent or not a DevEUI.
pub fn dev_eui(body: &Value, path: &str) -> Option<String> {
    let eui = fold_network_device_id(at(body, path)?.as_str()?);
    is_eui(&eui).then_some(eui)
}

/// Returns the DevEUI at a path, or an error if it is absent or not a DevEUI.
pub fn required_dev_eui(body: &Value, path: &str) -> Result<String, Malformed> {
    let rule = match at(body, path) {
        None => "is required: devices are identified by their DevEUI",
        Some(_) => "must be 16 hexadecimal digits",
    };
    dev_eui(body, path).ok_or_else(|| Malformed::new(path, rule))
}

/// Battery state in a LoRaWAN device status.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Battery {
    /// Battery level in percent.
    pub percent: Option<f64>,
    /// True if the device runs on external power.
    pub external_power: Option<bool>,
}

impl Battery {
    /// Decodes LoRaWAN's byte: 0 is external power, 1 to 254 the battery level, and 255 unknown.
    pub fn of(byte: Option<&Value>) -> Self {
        let byte = byte.and_then(whole_number);
        match byte.and_then(|byte| u8::try_from(byte).ok()) {
            Some(0) => Self {
                percent: None,
                external_power: Some(true),
            },
            Some(charge @ 1..=254) => Self {
                // Rounded to a tenth, because there are 254 steps.
                percent: Some((f64::from(charge - 1) * 1000.0 / 253.0).round() / 10.0),
                external_power: Some(false),
            },
            _ => Self::default(),
        }
    }
}

/// Returns the device status of a LoRaWAN `DevStatusAns`.
pub fn status(battery: Option<&Value>, margin: Option<&Value>) -> Report {
    let battery = Battery::of(battery);
    Report::Status {
        battery_percent: battery.percent,
        battery_v: None,
        external_power: battery.external_power,
        margin_db: margin.and_then(level),
    }
}

/// Reads a list of receptions. `gateway`, `rssi` and `snr` are paths in an item.
pub fn receptions(list: Option<&Value>, gateway: &str, rssi: &str, snr: &str) -> Vec<Reception> {
    let list = list
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let reception = |item| Reception {
        gateway: at(item, gateway).and_then(text).unwrap_or_default(),
        rssi: at(item, rssi).and_then(level),
        snr: at(item, snr).and_then(level),
        time: None,
    };
    list.iter().take(MAX_RECEPTIONS).map(reception).collect()
}

/// Returns the radio metadata that follow from the receptions of a frame.
pub fn heard(receptions: Vec<Reception>) -> Radio {
    let best = best(&receptions);
    Radio {
        rssi: best.and_then(|best| best.rssi),
        snr: best.and_then(|best| best.snr),
        receptions,
        ..Radio::default()
    }
}

/// Returns the strongest reception; among equals the one with the best signal to noise ratio.
pub fn best(receptions: &[Reception]) -> Option<&Reception> {
    let rank = |reception: &Reception| {
        (
            reception.rssi.unwrap_or(f64::MIN),
            reception.snr.unwrap_or(f64::MIN),
        )
    };
    receptions.iter().max_by(|a, b| {
        let ((a_rssi, a_snr), (b_rssi, b_snr)) = (rank(a), rank(b));
        a_rssi.total_cmp(&b_rssi).then(a_snr.total_cmp(&b_snr))
    })
}

impl Radio {
    /// Sets the spreading factor and the bandwidth in Hz. Values outside of LoRa's range are left out.
    pub(crate) fn with_lora(mut self, factor: Option<&Value>, hertz: Option<&Value>) -> Self {
        self.spread_factor = factor
            .and_then(whole_number)
            .and_then(|factor| u8::try_from(factor).ok())
            .filter(|factor| (5..=12).contains(factor));
        self.bandwidth = hertz
            .and_then(whole_number)
            .filter(|hertz| (1_000..=10_000_000).contains(hertz))
            .and_then(|hertz| u32::try_from((hertz + 500) / 1000).ok());
        if let (Some(factor), Some(bandwidth)) = (self.spread_factor, self.bandwidth) {
            self.data_rate = Some(format!("SF{factor}BW{bandwidth}"));
        }
        self
    }

    /// Sets the data rate from text: `SF9BW125`, or `SF9 BW125 4/5` with the coding rate.
    pub(crate) fn with_data_rate(self, data_rate: Option<&Value>) -> Self {
        let reported = data_rate.and_then(text).unwrap_or_default();
        let (coding_rates, rest): (Vec<&str>, Vec<&str>) = reported
            .split_whitespace()
            .partition(|part| part.contains('/'));
        let coding_rate = coding_rates.first().map(|rate| (*rate).to_owned());
        let compact = rest.concat();
        let lora = compact.strip_prefix("SF").and_then(|rest| {
            let (factor, rest) = rest.split_once("BW")?;
            let digits = rest.find(|c: char| !c.is_ascii_digit());
            let kilohertz: u64 = rest[..digits.unwrap_or(rest.len())].parse().ok()?;
            Some((
                Value::from(factor),
                Value::from(kilohertz.checked_mul(1000)?),
            ))
        });
        let mut radio = match &lora {
            Some((factor, hertz)) => self.with_lora(Some(factor), Some(hertz)),
            None => self,
        };
        radio.coding_rate = radio.coding_rate.or(coding_rate);
        radio
    }

    /// Sets the frequency in Hz.
    pub(crate) fn with_hertz(mut self, hertz: Option<&Value>) -> Self {
        let hertz = hertz.and_then(whole_number);
        self.frequency = hertz.filter(|hertz| (1..=100_000_000_000).contains(hertz));
        self
    }

    /// Sets the frequency in MHz.
    pub(crate) fn with_megahertz(mut self, megahertz: Option<&Value>) -> Self {
        let megahertz = megahertz.and_then(number);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive and below 1e11 by the bounds"
        )]
        let hertz = megahertz
            .filter(|megahertz| (0.1..=100_000.0).contains(megahertz))
            // Rounded to 100 Hz, the finest channel grid, because smaller digits are single-precision noise.
            .map(|megahertz| (megahertz * 1e4).round() as u64 * 100);
        self.frequency = hertz;
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_rates_are_read_as_they_are_written() {
        let read = |text: &str| {
            let radio = Radio::default().with_data_rate(Some(&json!(text)));
            (radio.spread_factor, radio.bandwidth, radio.coding_rate)
        };
        assert_eq!(read("SF12BW125"), (Some(12), Some(125), None));
        let coded = Some("4/5".to_owned());
        assert_eq!(read("SF9 BW125 4/5"), (Some(9), Some(125), coded));
        for odd in ["", "SF", "SF7BW", "SF7BW99999999999999999999", "50000"] {
            assert_eq!(read(odd), (None, None, None), "{odd}");
        }
        assert_eq!(read("SF99BW125"), (None, Some(125), None));
    }

    #[test]
    fn batteries_are_external_power_a_charge_or_unknown() {
        let read = |byte: Value| {
            let battery = Battery::of(Some(&byte));
            (battery.percent, battery.external_power)
        };
        assert_eq!(read(json!(0)), (None, Some(true)));
        assert_eq!(read(json!(1)), (Some(0.0), Some(false)));
        assert_eq!(read(json!("94")), (Some(36.8), Some(false)));
        assert_eq!(read(json!(254)), (Some(100.0), Some(false)));
        for unknown in [
            json!(255),
            json!(256),
            json!(-1),
            json!("full"),
            json!(null),
        ] {
            assert_eq!(read(unknown.clone()), (None, None), "{unknown}");
        }
    }

    #[test]
    fn megahertz_lose_what_single_precision_adds() {
        let read = |value| Radio::default().with_megahertz(Some(&value)).frequency;
        assert_eq!(read(json!(912.299_987_792_968_8)), Some(912_300_000));
        assert_eq!(read(json!("868.1")), Some(868_100_000));
        assert_eq!(read(json!(-868.1)), None);
        assert_eq!(read(json!(1e300)), None);
    }
}
