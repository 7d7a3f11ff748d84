//! A single follower of an integration: its next messages.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    follow::{PATIENCE, PATIENCE_SHARED, REST, moments_ago},
    places::Place,
};
use crate::{
    error::Result,
    id::IntegrationId,
    store::{Scope, Store, deliveries::Delivery, integrations::followed},
};

/// Number of messages read in one statement.
const PAGE: u64 = 100;

/// The queue of a single follower.
pub struct Queue {
    scope: Scope,
    integration: IntegrationId,
    place: Place,
    news: watch::Receiver<()>,
    patience: Duration,
    /// All messages up to here that do not wait have been sent, or existed before the start.
    floor: Uuid,
    /// Ids above the floor that have been sent, or were settled before the start.
    told: BTreeSet<Uuid>,
    /// Start of the next page of an unfinished poll.
    page_after: Option<Uuid>,
}

impl Queue {
    /// Begins with the waiting messages.
    pub async fn begin(
        store: &Store,
        scope: Scope,
        integration: IntegrationId,
        place: Place,
    ) -> Result<Self> {
        let mut news = store.news();
        news.mark_changed();
        let patience = if store.has_other_writers() {
            PATIENCE_SHARED
        } else {
            PATIENCE
        };
        let floor = moments_ago(store.now());
        let mut told = BTreeSet::new();
        let mut after = floor;
        loop {
            let page = followed::above(&scope, integration, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            let settled = page.iter().filter(|delivery| delivery.due_at.is_none());
            told.extend(settled.map(|delivery| delivery.id));
        }
        Ok(Self {
            scope,
            integration,
            place,
            news,
            patience,
            floor,
            told,
            page_after: None,
        })
    }

    /// Waits for the next messages. An empty list means that it is time to check whether the follower may
    /// still follow; `None`: the hub is shutting down.
    pub async fn next(&mut self) -> Option<Result<Vec<Delivery>>> {
        let changed = tokio::select! {
            () = self.place.stop.cancelled() => return None,
            changed = timeout(self.patience, self.news.changed()) => changed,
        };
        if matches!(changed, Ok(Err(_))) {
            return None;
        }
        if self.page_after.is_none() {
            // Messages recorded in the meantime are sent together.
            sleep(REST).await;
        }
        self.news.mark_unchanged();
        Some(self.look().await)
    }

    /// Settles the messages that the follower has received.
    pub async fn settle(&self, received: Vec<Delivery>) -> Result<()> {
        followed::settle(&self.scope, self.integration, received).await
    }

    async fn look(&mut self) -> Result<Vec<Delivery>> {
        let horizon = moments_ago(self.scope.now());
        let mut found = Vec::new();
        let mut is_more = false;
        let after = match self.page_after.take() {
            Some(after) => after,
            None => {
                let (scope, up_to) = (&self.scope, self.floor);
                found = followed::waiting(scope, self.integration, up_to, PAGE).await?;
                is_more = found.len() as u64 == PAGE;
                up_to
            }
        };
        let above = followed::above(&self.scope, self.integration, after, PAGE).await?;
        if above.len() as u64 == PAGE {
            self.page_after = above.last().map(|delivery| delivery.id);
        }
        if is_more || self.page_after.is_some() {
            self.news.mark_changed();
        }
        found.extend(above);
        found.retain(|delivery| self.told.insert(delivery.id));
        // Below the horizon, all ids are known as far as the pages have been read.
        let complete = self.page_after.map_or(horizon, |next| next.min(horizon));
        if complete > self.floor {
            self.floor = complete;
            self.told = self.told.split_off(&complete);
        }
        Ok(found)
    }
}
