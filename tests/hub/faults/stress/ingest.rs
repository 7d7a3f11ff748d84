//! Devices that send numbered uplinks through a network server that repeats what was not answered.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{RngExt, rngs::StdRng};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    GOES_ON_WITHIN,
    client::{Ask, Said, Unanswered},
    journal::Rule,
    model::{Access, Device, Life, Sent, Source, counts},
    world::World,
};
use crate::support::server::things_stack;

/// The longest pause between two uplinks of a device.
const PAUSE_MS: u64 = 120;
/// One of this many uplinks is cut.
const CUT_ONE_IN: u32 = 12;
/// Time within which an uplink without an answer may still be recorded, and the same while something is silent or
/// gone. Meanwhile a device sends no more than so many: the hub recognises a copy by the last frames, of which it
/// knows some more.
const DOUBT: Duration = Duration::from_millis(2500);
const DOUBT_IN_HARM: Duration = Duration::from_secs(15);
const AHEAD_MAX: usize = 12;

/// Tenant, connection and device by their places.
type Place = (usize, usize, usize);

impl World {
    /// Sends a device's uplinks until no act begins any more, and then what is without an answer.
    pub async fn send_uplinks(
        self: Arc<Self>,
        (tenant, source, device): Place,
        mut chance: StdRng,
    ) {
        let source = &self.tenants[tenant].sources[source];
        let device = &source.devices[device];
        let mut doubt: Option<(Instant, usize)> = None;
        let mut number = 0;
        while !self.is_stopping() {
            number += 1;
            let sent = self.send_uplink(source, device, number, &mut chance).await;
            if sent.in_doubt > 0 {
                doubt = Some((Instant::now(), 0));
            }
            device.enter(sent);
            if let Some((since, ahead)) = &mut doubt {
                *ahead += 1;
                if *ahead >= AHEAD_MAX {
                    let long = match self.is_harmed() {
                        true => DOUBT_IN_HARM,
                        false => DOUBT,
                    };
                    self.rest(long.saturating_sub(since.elapsed())).await;
                    doubt = None;
                }
            }
        }
    }

    async fn send_uplink(
        &self,
        source: &Source,
        device: &Device,
        number: u32,
        chance: &mut StdRng,
    ) -> Sent {
        let mut sent = Sent {
            number,
            in_doubt: 0,
            acknowledged: None,
            life: Some(device.life().number),
        };
        let mut stopped = None;
        loop {
            sleep(Duration::from_millis(chance.random_range(5..PAUSE_MS))).await;
            if self.is_stopping() {
                let since = *stopped.get_or_insert_with(Instant::now);
                // Devices that are being changed are left as they are.
                if sent.in_doubt == 0 || since.elapsed() > GOES_ON_WITHIN {
                    return sent;
                }
            }
            let (life, access) = (device.life(), source.access());
            if sent.life != Some(life.number) {
                sent.life = None;
                return sent;
            }
            let hub = self.any_hub(chance);
            let said = self
                .ask(chance, self.uplink(source, device, number).to(hub))
                .await;
            let same = device.life() == life && source.access() == access;
            if device.life().number != life.number {
                sent.life = None;
            }
            let said = match said {
                Ok(said) => said,
                Err(Unanswered::NotSent) => continue,
                Err(Unanswered::InDoubt) => {
                    sent.in_doubt += 1;
                    continue;
                }
            };
            let became = said.body["status"].as_str().unwrap_or_default();
            match (said.status, became) {
                (200, "recorded" | "duplicate") => {
                    self.members[hub].has_recorded();
                    self.hold_recorded(&said, &sent, same.then_some((life, &access)));
                    let id = said.body["uplink_id"].as_str().unwrap_or_default();
                    sent.acknowledged = Some((id.to_owned(), said.ended));
                    return sent;
                }
                (500.., _) => sent.in_doubt += 1,
                _ => self.hold_refused(&said, same.then_some((life, &access))),
            }
        }
    }

    /// An uplink with the key of this moment.
    pub fn uplink(&self, source: &Source, device: &Device, number: u32) -> Ask {
        let path = format!("{}/uplinks", source.path());
        let (key, message) = (source.access().key, message(&device.eui, number));
        Ask::post(path, &key, &message).cut_one_in(CUT_ONE_IN)
    }

    /// Holds what was recorded against what is known, where that did not change meanwhile.
    fn hold_recorded(&self, said: &Said, sent: &Sent, known: Option<(Life, &Access)>) {
        let request = &said.request;
        let is_first = said.body["status"] == "recorded";
        self.journal
            .hold(Rule::Kept, is_first || sent.in_doubt > 0, || {
                format!(
                    "[{request}] uplink {} is told to be a copy at first",
                    sent.number
                )
            });
        let Some((life, access)) = known else {
            return;
        };
        let is_off = !access.is_on && counts(access.is_on_since, said.begun);
        self.journal.hold(Rule::Revoked, !is_off, || {
            format!("[{request}] a connection that is switched off records")
        });
        let is_gone = !life.is_there && counts(life.since, said.begun);
        self.journal.hold(Rule::Revoked, !is_gone, || {
            format!("[{request}] an uplink of a device that is gone is recorded")
        });
    }

    /// Checks an answer to an uplink that was not recorded.
    fn hold_refused(&self, said: &Said, known: Option<(Life, &Access)>) {
        let Some((life, access)) = known else {
            return;
        };
        let is_there = life.is_there && counts(life.since, said.begun);
        let is_on = access.is_on && counts(access.is_on_since, said.begun);
        let is_given = counts(access.key_since, said.begun);
        let is_fair = match said.body["status"].as_str() {
            Some("unknown_device") => !is_there,
            Some("disabled") => !is_on,
            _ if said.status == 401 => !is_given,
            _ => false,
        };
        self.journal.hold(Rule::Given, is_fair, || {
            let Said {
                status,
                text,
                request,
                ..
            } = said;
            format!("[{request}] an uplink is not recorded: {status} {text}, {life:?} {access:?}")
        });
    }
}

/// An uplink of The Things Stack with this number.
pub fn message(eui: &str, number: u32) -> Value {
    let mut message: Value = serde_json::from_str(&things_stack(eui)).unwrap();
    let uplink = &mut message["uplink_message"];
    uplink["f_cnt"] = number.into();
    uplink["frm_payload"] = STANDARD.encode(number.to_be_bytes()).into();
    message
}
