//! Integrations: their credentials are sealed, and the delivery engine is notified of every change.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Hub;
use crate::{
    delivery::{self, Answer, Payload, RenderError, SAMPLE},
    error::{Error, Reason, Result},
    id::{IntegrationId, new_uuid},
    secret::{self, Claim},
    store::{
        Scope,
        deliveries::{
            self, Delivery, State,
            replays::{NewReplay, Replay},
            resend,
        },
        devices,
        integrations::{self, Integration, NewIntegration, health, policy::EventType},
    },
};
use stream::{STREAM_KEY, WEBSOCKET};

pub mod stream;

/// Maximum time for which one call queues deliveries again.
const RESEND_TIME_MAX: Duration = Duration::from_secs(10);

/// The result of a test.
pub struct Tested {
    /// Id of the delivery that was sent.
    pub delivery: Uuid,
    /// Answer of the target.
    pub answer: Answer,
    /// Duration of the test, in milliseconds.
    pub duration_ms: i64,
}

impl Hub {
    /// Adds an integration. `claims` are the secrets that its target requires.
    pub async fn create_integration(
        &self,
        scope: &Scope,
        new: NewIntegration,
        claims: &[Claim],
    ) -> Result<Integration> {
        self.check_integration(scope, &new).await?;
        let (kind, settings) = (new.kind.clone(), new.settings.clone());
        self.check_hosts(&delivery::hosts(&kind, &settings))?;
        let seal = |id: IntegrationId| {
            let place = delivery::place(scope.tenant(), id.0);
            self.seal(&place, claims, &settings, None, |secrets| {
                delivery::check(&kind, &settings, secrets)
            })
        };
        let integration = integrations::insert(scope, new, seal).await?;
        self.wake.integration(scope.tenant(), integration.id);
        Ok(integration)
    }

    /// Replaces an integration. An omitted secret is kept, as long as the type of the target and the address
    /// of the secret stay the same.
    pub async fn update_integration(
        &self,
        scope: &Scope,
        id: IntegrationId,
        new: NewIntegration,
        claims: &[Claim],
    ) -> Result<Integration> {
        self.check_integration(scope, &new).await?;
        let (kind, settings) = (new.kind.clone(), new.settings.clone());
        let place = delivery::place(scope.tenant(), id.0);
        let hosts = delivery::hosts(&kind, &settings);
        let seal = |before: &NewIntegration| {
            // Hosts that stay as they are must not keep an integration from being disabled or renamed.
            if hosts != delivery::hosts(&before.kind, &before.settings) {
                self.check_hosts(&hosts)?;
            }
            let stored = (before.kind == kind).then(|| before.stored());
            self.seal(&place, claims, &settings, stored, |secrets| {
                delivery::check(&kind, &settings, secrets)
            })
        };
        let integration = integrations::update(scope, id, new, seal).await?;
        self.wake.integration(scope.tenant(), id);
        Ok(integration)
    }

    /// Generates a new key for an integration whose type has one: the signing secret of an `http` target, or
    /// the key of followers of a `websocket`. The old key is invalid at once.
    pub async fn renew_integration_key(
        &self,
        scope: &Scope,
        id: IntegrationId,
    ) -> Result<(Integration, String)> {
        let kind = integrations::get(scope, id).await?.provisioned.kind;
        let (name, key) = match kind.as_str() {
            "http" => ("signing_secret", secret::new_signing_secret()),
            WEBSOCKET => (STREAM_KEY, secret::new_token().0),
            kind => {
                let rule = format!("an integration of the type {kind} has no key");
                return Err(Error::rejected(Reason::WrongState, rule));
            }
        };
        let place = delivery::place(scope.tenant(), id.0);
        let seal = |before: &NewIntegration| {
            if before.kind != kind {
                return Err(Error::rejected(
                    Reason::WrongState,
                    format!(
                        "the type of the integration has just been changed to {}",
                        before.kind
                    ),
                ));
            }
            let sealed = self.vault.seal_one(&place, name, &key, before.stored())?;
            Ok(sealed.write())
        };
        let integration = integrations::set_secret(scope, id, seal).await?;
        self.wake.integration(scope.tenant(), id);
        Ok((integration, key))
    }

    /// Checks the rules that depend on the hub's settings, and the template of the payload.
    async fn check_integration(&self, scope: &Scope, new: &NewIntegration) -> Result<()> {
        if new.kind == "file" && self.config.file_targets_dir.is_none() {
            let rule = "file requires the operator's setting file_targets_dir";
            return Err(Error::of_field(Reason::WrongState, "target.type", rule));
        }
        let rule = |error| Error::field("payload.template", error);
        let payload = Payload::read(&new.payload).map_err(rule)?;
        match payload.check(&self.wake.renderer(scope.tenant())).await {
            Ok(()) => Ok(()),
            Err(RenderError::Never(error)) => Err(rule(error)),
            Err(RenderError::NotNow) => {
                Err(Error::internal("no thread is available for a template"))
            }
        }
    }

    /// Stops sending the queued deliveries of an integration until it is resumed.
    pub async fn pause_integration(&self, scope: &Scope, id: IntegrationId) -> Result<Integration> {
        integrations::get(scope, id).await?;
        health::pause(scope, id, "a client has paused it").await?;
        self.wake.integration(scope.tenant(), id);
        integrations::get(scope, id).await
    }

    /// Resumes sending the queued deliveries of an integration.
    pub async fn resume_integration(
        &self,
        scope: &Scope,
        id: IntegrationId,
    ) -> Result<Integration> {
        integrations::get(scope, id).await?;
        health::resume(scope, id).await?;
        self.wake.integration(scope.tenant(), id);
        integrations::get(scope, id).await
    }

    /// Sends a message that is marked as a test and returns the result. The queue and the integration's
    /// health are not affected.
    pub async fn test_integration(&self, scope: &Scope, id: IntegrationId) -> Result<Tested> {
        let integration = integrations::get(scope, id).await?;
        if integration.provisioned.kind == WEBSOCKET {
            let rule = "an integration of the type websocket cannot be tested: its followers fetch the messages";
            return Err(Error::rejected(Reason::WrongState, rule));
        }
        let _trial = self.trials.begin(scope.tenant())?;
        let (id, at) = (new_uuid(), scope.now());
        // Has the form of an uplink, so that templates and columns find their fields.
        let mut body: Map<String, Value> = serde_json::from_str(SAMPLE).map_err(Error::internal)?;
        body.insert("event".to_owned(), "test".into());
        let body = Value::from(body);
        let delivery = Delivery {
            id,
            device_id: "test".to_owned(),
            kind: EventType::Data,
            subject_id: id,
            state: State::Pending,
            attempt: 1,
            round_start: 0,
            ordered: false,
            due_at: None,
            body: body.to_string(),
            last_status: None,
            last_error: None,
            last_answer: None,
            created_at: at,
            updated_at: at,
        };
        let began = Instant::now();
        let answer = self
            .wake
            .try_out(scope.tenant(), &integration, &delivery)
            .await?;
        let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Ok(Tested {
            delivery: id,
            answer,
            duration_ms,
        })
    }

    /// Queues settled deliveries again that were created after `after`. Stops after some seconds. Returns
    /// the number of deliveries and, if some are left, the last id, after which to continue.
    pub async fn resend(
        &self,
        scope: &Scope,
        id: IntegrationId,
        filter: &deliveries::Filter,
        mut after: Option<Uuid>,
    ) -> Result<(u64, Option<Uuid>)> {
        integrations::get(scope, id).await?;
        let started = Instant::now();
        let mut queued = 0;
        loop {
            let (count, last) = resend::chunk(scope, id, filter, after).await?;
            queued += count;
            self.wake.integration(scope.tenant(), id);
            if last.is_none() || started.elapsed() > RESEND_TIME_MAX {
                return Ok((queued, last));
            }
            after = last;
        }
    }

    /// Queues one settled delivery again.
    pub async fn resend_one(
        &self,
        scope: &Scope,
        id: IntegrationId,
        delivery: Uuid,
    ) -> Result<Delivery> {
        deliveries::get(scope, id, delivery).await?;
        let filter = deliveries::Filter {
            among: Some(deliveries::IdFilter::These(vec![delivery])),
            ..Default::default()
        };
        let (queued, _) = resend::chunk(scope, id, &filter, None).await?;
        if queued == 0 {
            let why = format!("delivery {delivery} is already queued");
            return Err(Error::rejected(Reason::WrongState, why));
        }
        self.wake.integration(scope.tenant(), id);
        deliveries::get(scope, id, delivery).await
    }

    /// Begins a replay, which forwards stored uplinks once more.
    pub async fn begin_replay(
        &self,
        scope: &Scope,
        id: IntegrationId,
        new: NewReplay,
    ) -> Result<Replay> {
        let integration = integrations::get(scope, id).await?;
        if integration.provisioned.uplink_events().is_empty() {
            return Err(Error::rejected(
                Reason::WrongState,
                "the integration forwards no uplinks: its events contain neither data nor raw",
            ));
        }
        if let Some(device) = &new.device_id {
            devices::get(scope, device).await?;
        }
        self.replays.begin(scope, id, new).await
    }
}
