//! Integrations and their deliveries.

use std::collections::HashMap;

use poem::{Result, http::Uri};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Tag,
    answer::{Created, Found, Revised, Single},
    auth::Caller,
    body::Body,
    integration_targets::{Provisioned, Target, TargetView},
    page::{Cursor, Listed, Window},
    sort::{QueuedAt, SortBy},
    types::{self, Count, Id, Limit, Status, Timestamp},
};
use crate::{
    error::Error,
    hub::{Hub, data_tables::parse_selector},
    id::IntegrationId,
    secret::{Claim, SealedCredentials},
    store::{
        deliveries::{self, Attempt, Delivery, State},
        integrations::{self, Integration, NewIntegration},
        listing::ResourceOrder,
    },
    text::{Description, DeviceId, Name, SelectorText},
};

/// An integration to make, or to put in the place of one
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewIntegration")]
struct NewIntegrationBody {
    /// Unique in the tenant
    name: Name,
    /// What it is for
    description: Option<Description>,
    /// Which devices' data it forwards, by their labels: `site=berlin, !retired`; empty: every device
    selector: SelectorText,
    /// Whether it takes and sends anything; what is queued waits while it does not
    #[oai(default = "types::yes")]
    #[serde(default = "types::yes")]
    enabled: bool,
    /// Where it sends to
    target: Target,
}

/// An integration
#[derive(Object, Serialize)]
#[oai(rename = "Integration")]
struct IntegrationView {
    /// Its id
    id: Id,
    /// Unique in the tenant
    name: String,
    /// What it is for
    description: String,
    /// Which devices' data it forwards
    selector: String,
    /// Whether it takes and sends anything
    enabled: bool,
    /// Where it sends to
    target: TargetView,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
}

/// Where a delivery stands
#[derive(Enum, Clone, Copy, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum DeliveryState {
    /// Waits for its next attempt
    Pending,
    /// An attempt is under way
    Sending,
    /// The target took it
    Delivered,
    /// Every attempt failed
    Dead,
}

/// One message on its way to an integration's target
#[derive(Object, Serialize)]
#[oai(rename = "Delivery")]
struct DeliveryView {
    /// Its id (UUIDv7), sent with every attempt
    id: Uuid,
    /// Where it stands
    state: DeliveryState,
    /// The device it tells of
    device_id: String,
    /// The uplink it tells of
    uplink_id: Uuid,
    /// How many attempts were made
    attempt: Count,
    /// When the next attempt is due; null when there will be none
    next_attempt_at: Option<Timestamp>,
    /// HTTP status of the last answer
    last_status: Option<Status>,
    /// Why the last attempt failed
    last_error: Option<String>,
    /// The attempts, in their order
    attempts: Vec<AttemptView>,
    /// When it was queued
    created_at: Timestamp,
    /// When its state last changed
    updated_at: Timestamp,
}

/// One attempt to deliver
#[derive(Object, Serialize)]
#[oai(rename = "DeliveryAttempt")]
struct AttemptView {
    /// Its number, from 1
    attempt: Count,
    /// When it began
    at: Timestamp,
    /// How long it took, in milliseconds
    duration_ms: Count,
    /// HTTP status of the answer, where there was one
    status: Option<Status>,
    /// Why it failed; null: it did not
    error: Option<String>,
}

/// `integrations`.
pub struct IntegrationsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3", tag = "Tag::Integrations")]
impl IntegrationsApi {
    /// Create an integration
    ///
    /// From their next uplink on, it forwards the data of all devices that its selector picks.
    #[oai(
        path = "/integrations",
        method = "post",
        operation_id = "create_integration"
    )]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewIntegrationBody>,
    ) -> Result<Created<IntegrationView>> {
        let (new, claims) = body.0.provisioned()?;
        let integration = self
            .hub
            .create_integration(caller.scope(), new, &claims)
            .await?;
        let location = format!("/api/v3/integrations/{}", integration.id);
        Ok(Created {
            location,
            body: integration.try_into()?,
        })
    }

    /// List integrations
    ///
    /// Without their credentials.
    #[oai(
        path = "/integrations",
        method = "get",
        operation_id = "list_integrations"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those that take and send, or with `false` those that do not
        enabled: Query<Option<bool>>,
        /// Only those with this text in name or description, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
        sort: Query<Option<SortBy<ResourceOrder>>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<IntegrationView>> {
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let filter = integrations::Filter {
            enabled: enabled.0,
            search: q.0.map(Name::into_string),
        };
        let page = integrations::list(caller.scope(), &filter, sort, &window.stretch).await?;
        Ok(window.answer(page.try_map(IntegrationView::try_from)?, |view| view)?)
    }

    /// Get an integration
    ///
    /// Without its credentials.
    #[oai(
        path = "/integrations/:id",
        method = "get",
        operation_id = "get_integration"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
    ) -> Result<Single<IntegrationView>> {
        Ok(Single(
            integrations::get(caller.scope(), IntegrationId(**id))
                .await?
                .try_into()?,
        ))
    }

    /// Replace an integration
    ///
    /// Deliveries that are queued go to the new target.
    #[oai(
        path = "/integrations/:id",
        method = "put",
        operation_id = "update_integration"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        body: Body<NewIntegrationBody>,
    ) -> Result<Single<IntegrationView>> {
        let (new, claims) = body.0.provisioned()?;
        let id = IntegrationId(**id);
        let integration = self
            .hub
            .update_integration(caller.scope(), id, new, &claims)
            .await?;
        Ok(Single(integration.try_into()?))
    }

    /// Delete an integration
    ///
    /// With all its deliveries, also those that are queued. Answers what was deleted.
    #[oai(
        path = "/integrations/:id",
        method = "delete",
        operation_id = "delete_integration"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
    ) -> Result<Found<IntegrationView>> {
        Ok(Found(
            integrations::delete(caller.scope(), IntegrationId(**id))
                .await?
                .try_into()?,
        ))
    }

    /// List an integration's deliveries
    ///
    /// With every attempt and what came of it.
    #[oai(
        path = "/integrations/:id/deliveries",
        method = "get",
        operation_id = "list_deliveries"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list_deliveries(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
        /// In this state alone
        state: Query<Option<DeliveryState>>,
        /// Only those that tell of this device
        device_id: Query<Option<DeviceId>>,
        /// What orders them; a minus turns it round. `-created_at` by default
        sort: Query<Option<SortBy<QueuedAt>>>,
        /// Most items on the page; 50 by default
        limit: Query<Option<Limit>>,
        /// The `next_cursor` of the page before
        cursor: Query<Option<Cursor>>,
        /// Whether to count the items of all pages, too; it costs about as much as reading them all
        total: Query<Option<bool>>,
        uri: &Uri,
    ) -> Result<Listed<DeliveryView>> {
        let scope = caller.scope();
        let id = integrations::get(scope, IntegrationId(**id)).await?.id;
        let window = Window::new(uri, limit.0, cursor.0, total.0)?;
        let newest_first = SortBy::is_newest_first(sort.0);
        let filter = deliveries::Filter {
            state: state.0.map(State::from),
            device_id: device_id.0.map(DeviceId::into_string),
        };
        let page = deliveries::list(scope, id, &filter, newest_first, &window.stretch).await?;
        let ids: Vec<Uuid> = page.items.iter().map(|delivery| delivery.id).collect();
        let mut attempts: HashMap<Uuid, Vec<AttemptView>> = HashMap::new();
        for (delivery, number, attempt) in deliveries::attempts(scope, &ids).await? {
            attempts
                .entry(delivery)
                .or_default()
                .push(attempt_view(number, attempt));
        }
        Ok(window.answer(page, |delivery| {
            let attempts = attempts.remove(&delivery.id).unwrap_or_default();
            delivery_view(delivery, attempts)
        })?)
    }
}

impl NewIntegrationBody {
    fn provisioned(self) -> Result<(NewIntegration, Vec<Claim>), Error> {
        parse_selector(&self.selector)?;
        let Provisioned {
            kind,
            settings,
            claims,
        } = self.target.provisioned();
        let new = NewIntegration {
            name: self.name.into_string(),
            description: self
                .description
                .map(Description::into_string)
                .unwrap_or_default(),
            selector: self.selector.into_string(),
            enabled: self.enabled,
            kind: kind.to_owned(),
            settings,
            secret: None,
        };
        Ok((new, claims))
    }
}

impl TryFrom<Integration> for IntegrationView {
    type Error = Error;

    fn try_from(integration: Integration) -> Result<Self, Error> {
        let NewIntegration {
            name,
            description,
            selector,
            enabled,
            kind,
            settings,
            secret,
        } = integration.provisioned;
        let secrets = SealedCredentials::read(secret.as_deref());
        Ok(Self {
            id: Id::saturating(integration.id.0),
            name,
            description,
            selector,
            enabled,
            target: TargetView::new(&kind, settings, &secrets)?,
            revision: Count::saturating(integration.revision),
            created_at: Timestamp(integration.created_at),
            updated_at: Timestamp(integration.updated_at),
        })
    }
}

fn delivery_view(delivery: Delivery, attempts: Vec<AttemptView>) -> DeliveryView {
    let is_pending = delivery.state == State::Pending;
    DeliveryView {
        id: delivery.id,
        state: delivery.state.into(),
        device_id: delivery.device_id,
        uplink_id: delivery.uplink_id,
        attempt: Count::saturating(delivery.attempt),
        next_attempt_at: delivery.due_at.filter(|_| is_pending).map(Timestamp),
        last_status: delivery.last_status.map(Status::saturating),
        last_error: delivery.last_error,
        attempts,
        created_at: Timestamp(delivery.created_at),
        updated_at: Timestamp(delivery.updated_at),
    }
}

fn attempt_view(number: i32, attempt: Attempt) -> AttemptView {
    AttemptView {
        attempt: Count::saturating(number),
        at: Timestamp(attempt.at),
        duration_ms: Count::saturating(attempt.duration_ms),
        status: attempt.status.map(Status::saturating),
        error: attempt.error,
    }
}

impl From<DeliveryState> for State {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => State::Pending,
            DeliveryState::Sending => State::Sending,
            DeliveryState::Delivered => State::Delivered,
            DeliveryState::Dead => State::Dead,
        }
    }
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => DeliveryState::Pending,
            State::Sending => DeliveryState::Sending,
            State::Delivered => DeliveryState::Delivered,
            State::Dead => DeliveryState::Dead,
        }
    }
}

impl Revised for IntegrationView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
