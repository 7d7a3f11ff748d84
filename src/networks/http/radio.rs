//! Radio metadata of uplinks that any server posts as JSON.
//!
//! All of it is informational: an unreadable value is left out, and no uplink is rejected because of
//! it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::networks::{
    event::{Radio, Reception},
    http::pointer::find,
    lorawan::heard,
    read::{MAX_RECEPTIONS, level, number, text},
};

/// Lowest frequency that is read as kHz; lower values are MHz, and values from [`HERTZ_FROM`] on are
/// Hz. No device sends below 100 kHz or above 10 GHz.
const KILOHERTZ_FROM: f64 = 1e4;
/// Lowest frequency that is read as Hz.
const HERTZ_FROM: f64 = 1e7;
/// Lowest bandwidth that is read as Hz; LoRa's bandwidths range from 7800 Hz to 1625 kHz.
const BANDWIDTH_HERTZ_FROM: f64 = 5e3;

/// JSON pointers to the radio metadata; each is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RadioMapping {
    /// Pointer to the list of receptions. If set, the next three pointers are relative to an item of the
    /// list, otherwise to the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receptions_pointer: Option<String>,
    /// Pointer to the gateway's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_pointer: Option<String>,
    /// Pointer to the signal strength in dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rssi_pointer: Option<String>,
    /// Pointer to the signal to noise ratio in dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr_pointer: Option<String>,
    /// Pointer to the frequency in Hz, kHz or MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_pointer: Option<String>,
    /// Pointer to the data rate as text, such as `SF7BW125`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_rate_pointer: Option<String>,
    /// Pointer to the spreading factor, 5-12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread_factor_pointer: Option<String>,
    /// Pointer to the bandwidth in kHz or Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_pointer: Option<String>,
}

impl RadioMapping {
    /// Returns all pointers with the names of their settings.
    pub fn pointers(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let of_reception = self.of_reception().into_iter();
        of_reception.chain(self.of_body()).filter_map(known)
    }

    /// Returns the pointers that are relative to the body.
    pub fn body_pointers(&self) -> impl Iterator<Item = &String> {
        let of_reception = match self.receptions_pointer {
            Some(_) => None,
            None => Some(self.of_reception()),
        };
        let of_reception = of_reception.into_iter().flatten();
        let pointers = of_reception.chain(self.of_body()).filter_map(known);
        pointers.map(|(_, pointer)| pointer)
    }

    /// Reads the radio metadata from a body.
    pub fn read(&self, body: &Value) -> Radio {
        let reported = |pointer: &Option<String>| find(body, pointer.as_deref()?);
        let hertz = reported(&self.frequency_pointer).and_then(|value| number(&value));
        let hertz = hertz.map(|frequency| match frequency {
            megahertz if megahertz < KILOHERTZ_FROM => megahertz * 1e6,
            kilohertz if kilohertz < HERTZ_FROM => kilohertz * 1e3,
            hertz => hertz,
        });
        let bandwidth = reported(&self.bandwidth_pointer).and_then(|value| number(&value));
        let bandwidth = bandwidth.map(|bandwidth| match bandwidth {
            kilohertz if kilohertz < BANDWIDTH_HERTZ_FROM => kilohertz * 1e3,
            hertz => hertz,
        });
        let factor = reported(&self.spread_factor_pointer);
        let radio = heard(self.receptions(body))
            .with_megahertz(hertz.map(|hertz| (hertz / 1e6).into()).as_ref())
            .with_data_rate(reported(&self.data_rate_pointer).as_deref());
        match (&factor, bandwidth) {
            (None, None) => radio,
            (factor, bandwidth) => radio.with_lora(
                factor.as_deref(),
                bandwidth.map(|hertz| hertz.round().into()).as_ref(),
            ),
        }
    }

    fn receptions(&self, body: &Value) -> Vec<Reception> {
        let Some(pointer) = &self.receptions_pointer else {
            return self.reception(body).into_iter().collect();
        };
        let list = find(body, pointer);
        let items = list.as_deref().and_then(Value::as_array);
        let items = items.into_iter().flatten().take(MAX_RECEPTIONS);
        items.filter_map(|item| self.reception(item)).collect()
    }

    /// Reads one reception; `None` if it contains none of the values.
    fn reception(&self, reported: &Value) -> Option<Reception> {
        let at = |pointer: &Option<String>| find(reported, pointer.as_deref()?);
        let reception = Reception {
            gateway: at(&self.gateway_pointer)
                .and_then(|value| text(&value))
                .unwrap_or_default(),
            rssi: at(&self.rssi_pointer).and_then(|value| level(&value)),
            snr: at(&self.snr_pointer).and_then(|value| level(&value)),
            time: None,
        };
        (reception != Reception::default()).then_some(reception)
    }

    fn of_reception(&self) -> [(&'static str, &Option<String>); 3] {
        [
            ("radio.gateway_pointer", &self.gateway_pointer),
            ("radio.rssi_pointer", &self.rssi_pointer),
            ("radio.snr_pointer", &self.snr_pointer),
        ]
    }

    fn of_body(&self) -> [(&'static str, &Option<String>); 5] {
        [
            ("radio.receptions_pointer", &self.receptions_pointer),
            ("radio.frequency_pointer", &self.frequency_pointer),
            ("radio.data_rate_pointer", &self.data_rate_pointer),
            ("radio.spread_factor_pointer", &self.spread_factor_pointer),
            ("radio.bandwidth_pointer", &self.bandwidth_pointer),
        ]
    }
}

fn known<'p>(
    (setting, pointer): (&'static str, &'p Option<String>),
) -> Option<(&'static str, &'p String)> {
    Some((setting, pointer.as_ref()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(pointers: Value) -> RadioMapping {
        serde_json::from_value(pointers).expect("a mapping")
    }

    #[test]
    fn one_reception_stands_in_the_body() {
        let flat = mapping(json!({
            "gateway_pointer": "/gw", "rssi_pointer": "/rssi", "snr_pointer": "/snr",
            "frequency_pointer": "/freq", "data_rate_pointer": "/dr",
        }));
        let body =
            json!({"gw": "g", "rssi": "-97", "snr": 5.5, "freq": 868.1, "dr": "SF7 BW125 4/5"});
        let radio = flat.read(&body);
        assert_eq!((radio.rssi, radio.snr), (Some(-97.0), Some(5.5)));
        assert_eq!(radio.frequency, Some(868_100_000));
        assert_eq!(radio.data_rate.as_deref(), Some("SF7BW125"));
        assert_eq!(radio.coding_rate.as_deref(), Some("4/5"));
        assert_eq!(radio.receptions.len(), 1);
        assert_eq!(flat.read(&json!({})), Radio::default());
        let odd = json!({"gw": 1, "rssi": "loud", "snr": null, "freq": [], "dr": {}});
        assert_eq!(flat.read(&odd), Radio::default());
    }

    #[test]
    fn of_many_receptions_the_best_counts() {
        let listed = mapping(json!({
            "receptions_pointer": "/heard", "gateway_pointer": "/by/id", "rssi_pointer": "/rssi",
        }));
        let heard = json!([
            {"by": {"id": "far"}, "rssi": -120}, 7, {"by": {"id": "near"}, "rssi": -40},
        ]);
        let radio = listed.read(&json!({"heard": heard}));
        assert_eq!(radio.rssi, Some(-40.0));
        let gateways: Vec<&str> = radio
            .receptions
            .iter()
            .map(|r| r.gateway.as_str())
            .collect();
        assert_eq!(gateways, ["far", "near"]);
        assert_eq!(listed.read(&json!({"heard": {}})), Radio::default());
        assert_eq!(listed.body_pointers().collect::<Vec<_>>(), ["/heard"]);
        assert_eq!(listed.pointers().count(), 3);
    }

    #[test]
    fn units_are_told_by_their_size() {
        let units = mapping(json!({
            "frequency_pointer": "/f", "bandwidth_pointer": "/b", "spread_factor_pointer": "/s",
        }));
        for frequency in [
            json!(868.1),
            json!(868_100),
            json!(868_100_000),
            json!("868.1"),
        ] {
            for bandwidth in [json!(125), json!(125_000), json!("125.0")] {
                let radio = units.read(&json!({"f": frequency, "b": bandwidth, "s": 7}));
                assert_eq!(radio.frequency, Some(868_100_000), "{frequency}");
                assert_eq!(radio.data_rate.as_deref(), Some("SF7BW125"), "{bandwidth}");
            }
        }
        let radio = units.read(&json!({"f": -1, "b": 1e300, "s": 99}));
        assert_eq!(radio, Radio::default());
    }
}
