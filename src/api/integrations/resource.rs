//! Integrations.

use poem::Result;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        http::{
            answer::{Created, Found, Revised, Single},
            body::Body,
            caller::Caller,
            page::Listed,
            paging::Paging,
            sort::SortBy,
            types::{self, Count, Id, List, Timestamp},
        },
        integrations::{
            health::{IntegrationHealth, IntegrationHealthState},
            payload::{Payload, PayloadView},
            policy::{self, EventType, EventTypes, Policy},
            targets::{Provisioned, Target, TargetView},
        },
        tag::Tag,
    },
    error::Error,
    hub::{Hub, selectors::parse_selector},
    id::IntegrationId,
    secret::{Claim, SealedCredentials},
    store::{
        core::listing::ResourceOrder,
        integrations::{self, Integration, NewIntegration},
    },
    text::{Description, Name, SelectorText},
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
    /// The types of events that it forwards; `data` alone by default
    #[oai(default = "policy::data_alone")]
    #[serde(default = "policy::data_alone")]
    events: EventTypes,
    /// Where it sends to
    target: Target,
    /// The form in which messages go out; `native` by default
    payload: Option<Payload>,
    /// How it is delivered to; what is left out is as the operator has set it
    #[oai(default)]
    #[serde(default)]
    delivery: Policy,
}

/// An integration
#[derive(Object, Serialize)]
#[oai(rename = "Integration")]
pub struct IntegrationView {
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
    /// The types of events that it forwards
    events: EventTypes,
    /// Where it sends to
    target: TargetView,
    /// The form in which messages go out
    payload: PayloadView,
    /// How it is delivered to
    delivery: Policy,
    /// How it fares
    health: IntegrationHealth,
    /// Grows with every change by a client; it is the ETag
    revision: Count,
    /// When it was made
    created_at: Timestamp,
    /// When it was last changed
    updated_at: Timestamp,
}

/// An integration with its key
#[derive(Object, Serialize)]
#[oai(rename = "IntegrationWithKey")]
struct IntegrationWithKey {
    #[oai(flatten)]
    #[serde(flatten)]
    integration: IntegrationView,
    /// The key; it is shown here and never again
    key: String,
}

/// Endpoints of `integrations`.
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
            body: IntegrationView::new(integration, &self.hub)?,
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
    async fn list(
        &self,
        caller: Caller,
        /// Only those that take and send, or with `false` those that do not
        enabled: Query<Option<bool>>,
        /// Only those that fare so
        health: Query<Option<IntegrationHealthState>>,
        /// Only those with this text in name or description, whatever its case
        q: Query<Option<Name>>,
        /// What orders them; a minus turns it round. `created_at` by default
        sort: Query<Option<SortBy<ResourceOrder>>>,
        paging: Paging,
    ) -> Result<Listed<IntegrationView>> {
        let window = paging.window()?;
        let sort = SortBy::or(sort.0, ResourceOrder::Created);
        let filter = integrations::Filter {
            enabled: enabled.0,
            health: health.0.map(IntegrationHealthState::into),
            search: q.0.map(Name::into_string),
        };
        let page = integrations::list(caller.scope(), &filter, sort, &window.stretch).await?;
        Ok(window.answer(
            page.try_map(|integration| IntegrationView::new(integration, &self.hub))?,
            |view| view,
        )?)
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
        let integration = integrations::get(caller.scope(), IntegrationId(**id)).await?;
        Ok(Single(IntegrationView::new(integration, &self.hub)?))
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
        Ok(Single(IntegrationView::new(integration, &self.hub)?))
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
        let integration = integrations::delete(caller.scope(), IntegrationId(**id)).await?;
        Ok(Found(IntegrationView::new(integration, &self.hub)?))
    }

    /// Make a new key
    ///
    /// Of an `http` target, what messages are signed with from now on, by the Standard Webhooks
    /// scheme; of a `websocket`, what a follower shows in place of a token. The old one is dead at
    /// once. Answers the integration with the key, which is not shown again. Other types have none.
    #[oai(
        path = "/integrations/:id/key",
        method = "post",
        operation_id = "create_integration_key"
    )]
    async fn create_key(
        &self,
        caller: Caller,
        /// The integration's id
        id: Path<Id>,
    ) -> Result<Created<IntegrationWithKey>> {
        let (integration, key) = self
            .hub
            .renew_integration_key(caller.scope(), IntegrationId(**id))
            .await?;
        let location = format!("/api/v3/integrations/{}", integration.id);
        Ok(Created {
            location,
            body: IntegrationWithKey {
                integration: IntegrationView::new(integration, &self.hub)?,
                key,
            },
        })
    }
}

impl NewIntegrationBody {
    fn provisioned(self) -> Result<(NewIntegration, Vec<Claim>), Error> {
        parse_selector(&self.selector)?;
        let Provisioned {
            kind,
            settings,
            claims,
        } = self.target.provisioned()?;
        let new = NewIntegration {
            name: self.name.into_string(),
            description: self
                .description
                .map(Description::into_string)
                .unwrap_or_default(),
            selector: self.selector.into_string(),
            enabled: self.enabled,
            events: self.events.0.into_iter().map(EventType::into).collect(),
            delivery: self.delivery.into(),
            kind: kind.to_owned(),
            settings,
            payload: serde_json::to_value(self.payload.unwrap_or_default())
                .map_err(Error::internal)?,
            secret: None,
        };
        Ok((new, claims))
    }
}

impl IntegrationView {
    /// Returns the view of a stored integration.
    pub fn new(integration: Integration, hub: &Hub) -> Result<Self, Error> {
        let NewIntegration {
            name,
            description,
            selector,
            enabled,
            kind,
            settings,
            payload,
            secret,
            events,
            delivery,
        } = integration.provisioned;
        let secrets = SealedCredentials::read(secret.as_deref());
        Ok(Self {
            id: Id::saturating(integration.id.0),
            name,
            description,
            selector,
            enabled,
            events: List(events.into_iter().map(EventType::from).collect()),
            delivery: delivery.into(),
            target: TargetView::new(
                integration.id,
                &kind,
                settings,
                &secrets,
                hub.config.public_url.as_deref(),
            )?,
            payload: payload.try_into()?,
            health: integration.health.into(),
            revision: Count::saturating(integration.revision),
            created_at: Timestamp(integration.created_at),
            updated_at: Timestamp(integration.updated_at),
        })
    }
}

impl Revised for IntegrationWithKey {
    fn revision(&self) -> i64 {
        self.integration.revision()
    }
}

impl Revised for IntegrationView {
    fn revision(&self) -> i64 {
        *self.revision
    }
}
