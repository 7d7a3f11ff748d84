//! Downlinks to any MQTT broker: topic and message are templates.

use serde::{Deserialize, Serialize};

use crate::{
    mqtt::{Publication, check_topic},
    networks::{
        downlink::{DownlinkNetwork, Handover, OutgoingDownlink, broker_cannot_be_probed},
        template::{self, Place},
    },
    outgoing::Request,
    secret::Credentials,
};

/// Settings of the messages that are published to the broker of the uplinks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {
    /// Topic; a template.
    pub topic: String,
    /// Message; a template. `None` publishes the raw payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// MQTT QoS: 0, 1 or 2.
    pub qos: u8,
    /// True if the broker must retain the message.
    pub retain: bool,
}

impl Downlinks {
    /// Fills in the templates.
    pub fn publication(&self, downlink: &OutgoingDownlink) -> Result<Publication, String> {
        let topic = template::fill_in(&self.topic, downlink, Place::Topic)?;
        check_topic(&topic).map_err(|rule| format!("the topic, filled in, {rule}"))?;
        Ok(Publication {
            topic,
            payload: match &self.payload {
                Some(payload) => template::fill_in(payload, downlink, Place::Json)?.into(),
                None => downlink.payload.clone().into(),
            },
            qos: self.qos,
            retain: self.retain,
        })
    }
}

impl DownlinkNetwork for Downlinks {
    /// Checks that the templates contain only known placeholders. The error names the field and the rule.
    fn check(&self) -> Result<(), String> {
        check_topic(&self.topic).map_err(|rule| format!("topic: {rule}"))?;
        template::check("topic", &self.topic)?;
        match &self.payload {
            Some(payload) => template::check("payload", payload),
            None => Ok(()),
        }
    }

    fn check_payload(&self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn is_published(&self) -> bool {
        true
    }

    fn handover(&self, _: &Credentials, downlink: &OutgoingDownlink) -> Result<Handover, String> {
        self.publication(downlink).map(Handover::Publish)
    }

    fn probe(&self, _: &Credentials, _: Option<&str>) -> Result<Request, String> {
        broker_cannot_be_probed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::downlink::example_downlink;

    fn template(topic: &str, payload: Option<&str>) -> Downlinks {
        Downlinks {
            topic: topic.to_owned(),
            payload: payload.map(str::to_owned),
            qos: 2,
            retain: true,
        }
    }

    #[test]
    fn topic_and_message_are_filled_in() {
        let json = r#"{"d": "{{payload_base64}}", "p": {{f_port}}}"#;
        let template = |payload| template("down/{{network_device_id}}/{{device}}", payload);
        assert_eq!(template(Some(json)).check(), Ok(()));
        let made = template(Some(json))
            .publication(&example_downlink())
            .unwrap();
        assert_eq!(made.topic, "down/70B3D57ED0012345/dev 1");
        assert_eq!(made.payload, r#"{"d": "vu8=", "p": 15}"#);
        assert_eq!((made.qos, made.retain), (2, true));
        let bare = template(None).publication(&example_downlink()).unwrap();
        assert_eq!(bare.payload[..], [0xbe, 0xef]);
    }

    #[test]
    fn what_cannot_be_published_to_is_refused() {
        for (topic, payload, reported) in [
            ("down/+", None, "topic: must not have the wildcards"),
            (
                "down/{{x}}",
                None,
                "topic: the placeholder {{x}} is unknown",
            ),
            (
                "down",
                Some("{{x}}"),
                "payload: the placeholder {{x}} is unknown",
            ),
        ] {
            let error = template(topic, payload).check().unwrap_err();
            assert!(error.starts_with(reported), "{error}");
        }
    }
}
