//! Stream keys: each opens live streams for a short time, on behalf of the session or the API key that made it.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::{
    clock::Time,
    error::{Error, Result},
    store::{
        core::{handle::Store, scope::Scope},
        entities::stream_key::{ActiveModel, Column, Entity},
    },
};

/// Maximum number of valid keys of one session or API key.
const MOST: u64 = 10_000;

/// Credential of a caller, by the hash under which it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// The token of a session.
    Session([u8; 32]),
    /// An API key.
    ApiKey([u8; 32]),
}

/// Adds a key by its hash.
pub async fn insert(
    scope: &Scope,
    key_hash: &[u8; 32],
    owner: Credential,
    expires_at: Time,
) -> Result<()> {
    let (owner_hash, is_of_api_key) = match owner {
        Credential::Session(hash) => (hash, false),
        Credential::ApiKey(hash) => (hash, true),
    };
    scope
        .keep(async |transaction| {
            let valid = scope
                .find::<Entity>()
                .filter(Column::OwnerHash.eq(owner_hash.to_vec()))
                .filter(Column::ExpiresAt.gt(scope.now()))
                .count(&*transaction)
                .await?;
            if valid >= MOST {
                return Err(Error::overloaded(
                    "too many stream keys of this session or API key are valid",
                ));
            }
            Entity::insert(ActiveModel {
                tenant_id: Set(scope.tenant.0),
                key_hash: Set(key_hash.to_vec()),
                owner_hash: Set(owner_hash.to_vec()),
                is_of_api_key: Set(is_of_api_key),
                expires_at: Set(expires_at),
            })
            .exec_without_returning(&*transaction)
            .await?;
            Ok(())
        })
        .await
}

impl Store {
    /// Returns on whose behalf a valid key opens streams. Whether the owner is still valid is not checked.
    pub async fn find_stream_key(&self, key_hash: &[u8; 32]) -> Result<Option<Credential>> {
        let found = Entity::find_by_id(key_hash.to_vec())
            .filter(Column::ExpiresAt.gt(self.now()))
            .one(&self.inner.reader)
            .await?;
        Ok(found.and_then(|key| {
            let owner = key.owner_hash.try_into().ok()?;
            Some(match key.is_of_api_key {
                true => Credential::ApiKey(owner),
                false => Credential::Session(owner),
            })
        }))
    }
}
