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

/// Integration to create, or the new configuration of an existing one.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewIntegration")]
struct NewIntegrationBody {
    /// Name of the integration, unique in the tenant, without control characters.
    name: Name,
    /// Purpose of the integration, for people, without control characters except tabs and line breaks. Empty if omitted
    /// or null.
    description: Option<Description>,
    /// Label selector of the devices whose messages are forwarded, such as `site=berlin, !retired`. An empty selector
    /// matches every device.
    selector: SelectorText,
    /// Whether the integration queues and sends messages. While it is false, new messages are not queued, and queued
    /// ones wait.
    #[oai(default = "types::yes")]
    #[serde(default = "types::yes")]
    enabled: bool,
    /// Types of events that are forwarded. Defaults to `data` only.
    #[oai(default = "policy::data_alone")]
    #[serde(default = "policy::data_alone")]
    events: EventTypes,
    /// Target that receives the messages.
    target: Target,
    /// Format of the messages. The type `native` if omitted or null.
    payload: Option<Payload>,
    /// Delivery policy. The hub's settings apply to omitted fields.
    #[oai(default)]
    #[serde(default)]
    delivery: Policy,
}

/// An integration, which forwards messages of devices to another system.
#[derive(Object, Serialize)]
#[oai(rename = "Integration")]
pub struct IntegrationView {
    /// Unique identifier of the integration.
    id: Id,
    /// Name of the integration, unique in the tenant.
    name: String,
    /// Purpose of the integration, for people. May be empty.
    description: String,
    /// Label selector of the devices whose messages are forwarded. An empty selector matches every device.
    selector: String,
    /// Whether the integration queues and sends messages.
    enabled: bool,
    /// Types of events that are forwarded.
    events: EventTypes,
    /// Target that receives the messages, without its secrets.
    target: TargetView,
    /// Format of the messages.
    payload: PayloadView,
    /// Delivery policy. The hub's settings apply to fields that are null.
    delivery: Policy,
    /// Health of the integration.
    health: IntegrationHealth,
    /// Revision, which increases with every change by a client. It is also the `ETag`.
    revision: Count,
    /// Time of creation.
    created_at: Timestamp,
    /// Time of the last change by a client.
    updated_at: Timestamp,
}

/// An integration with its new key.
#[derive(Object, Serialize)]
#[oai(rename = "IntegrationWithKey")]
struct IntegrationWithKey {
    #[oai(flatten)]
    #[serde(flatten)]
    integration: IntegrationView,
    /// New key. Only this response contains it.
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
    /// Creates an integration, which forwards the messages that the hub receives from now on from all devices that the
    /// selector matches.
    ///
    /// Fails with 400 if another integration of the tenant has the name, if the selector or the payload template is
    /// invalid, if a required secret is missing, or if the target has the type `file` and the operator has not set
    /// `file_targets_dir`.
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
    /// Returns the tenant's integrations with their health, without secrets. Filters are combined with AND.
    #[oai(
        path = "/integrations",
        method = "get",
        operation_id = "list_integrations"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Only enabled integrations, or with `false` only disabled ones.
        enabled: Query<Option<bool>>,
        /// Only integrations in this health state.
        health: Query<Option<IntegrationHealthState>>,
        /// Only integrations whose name or description contains this text, ignoring case.
        q: Query<Option<Name>>,
        /// Sort key; prefix with `-` for descending order. Defaults to `created_at`.
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
    /// Returns the integration with its health, without secrets.
    #[oai(
        path = "/integrations/:id",
        method = "get",
        operation_id = "get_integration"
    )]
    async fn get(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
    ) -> Result<Single<IntegrationView>> {
        let integration = integrations::get(caller.scope(), IntegrationId(**id)).await?;
        Ok(Single(IntegrationView::new(integration, &self.hub)?))
    }

    /// Replace an integration
    ///
    /// Replaces the configuration of the integration; omitted fields are reset to their defaults. Queued deliveries are
    /// sent to the new target. An omitted secret is kept if the type of the target and the address to which the secret
    /// is sent stay the same; secrets that the new configuration does not use are deleted.
    ///
    /// Fails with 400 in the same cases as the creation, and if a secret is omitted although its address has changed.
    #[oai(
        path = "/integrations/:id",
        method = "put",
        operation_id = "update_integration"
    )]
    async fn update(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
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
    /// Deletes the integration with all its deliveries, including queued ones, and returns the deleted integration.
    #[oai(
        path = "/integrations/:id",
        method = "delete",
        operation_id = "delete_integration"
    )]
    async fn delete(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
        id: Path<Id>,
    ) -> Result<Found<IntegrationView>> {
        let integration = integrations::delete(caller.scope(), IntegrationId(**id)).await?;
        Ok(Found(IntegrationView::new(integration, &self.hub)?))
    }

    /// Rotate an integration key
    ///
    /// Creates a new key for the integration and returns it once; the old key becomes invalid immediately. For the type
    /// `http`, it is the secret that signs messages by the Standard Webhooks scheme. For the type `websocket`, it is
    /// the stream key with which a client can follow the integration without a token.
    ///
    /// Fails with 400 for all other types, which have no key.
    #[oai(
        path = "/integrations/:id/key",
        method = "post",
        operation_id = "create_integration_key"
    )]
    async fn create_key(
        &self,
        caller: Caller,
        /// Unique identifier of the integration.
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
