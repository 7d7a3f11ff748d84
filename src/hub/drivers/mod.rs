//! Drivers: a version is only accepted if its script runs, defines a decoder, and passes its own examples.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::Hub;
use crate::{
    driver::{BUILT_IN_AUTHOR, DECODERS, Script},
    error::{Error, Reason, Result},
    id::TenantId,
    reference::{DriverKey, Pick},
    store::{
        Scope,
        drivers::{
            self, Driver, Metadata, Release,
            versions::{self, Content, Version},
        },
    },
};

pub mod archive;
pub mod built_in;
pub mod examples;
pub mod manifest;
mod refusal;
pub mod schemas;

use archive::VERSIONS_MAX;
use examples::Example;
use refusal::refused;
use schemas::SchemaSource;

/// A version to push, as its author wrote it.
pub struct Source {
    /// Prefix of the field in errors, if several versions are pushed.
    pub place: Option<String>,
    /// Script in JavaScript.
    pub script: String,
    /// Schema of the decoded data.
    pub schema: Option<SchemaSource>,
    /// Examples that the version must pass.
    pub examples: Vec<Example>,
    /// Tags that point at the version from now on.
    pub tags: Vec<String>,
    /// Digest that the author expects; the push fails if the content has another one.
    pub digest: Option<String>,
}

impl Hub {
    /// Checks the versions, adds them and moves the tags, all in one transaction.
    pub async fn push_driver<S: Serialize + DeserializeOwned>(
        &self,
        scope: &Scope,
        key: &DriverKey,
        metadata: Metadata<S>,
        sources: Vec<Source>,
    ) -> Result<Driver<S>> {
        if key.author == BUILT_IN_AUTHOR {
            return Err(Error::field(
                "author",
                format!("must not be {BUILT_IN_AUTHOR}, which is reserved for built-in drivers"),
            ));
        }
        let mut releases = Vec::with_capacity(sources.len());
        for mut source in sources {
            let place = source.place.take();
            let checked = self.checked(scope.tenant(), source).await;
            releases.push(checked.map_err(|error| match (error, place) {
                (Error::Rejected { reason, text, .. }, Some(place)) => {
                    Error::of_field(reason, &place, text)
                }
                (error, _) => error,
            })?);
        }
        drivers::push(scope, key, metadata, &releases).await
    }

    async fn checked(&self, tenant: TenantId, source: Source) -> Result<Release> {
        let Source {
            place: _,
            script,
            schema,
            examples,
            tags,
            digest: said,
        } = source;
        let script = Arc::new(Script::new(script));
        let functions = self.entry_functions(tenant, script.clone()).await?;
        let schema = schema.map(SchemaSource::read).transpose()?;
        self.check_examples(tenant, &script, &functions, schema.as_deref(), &examples)
            .await?;
        let schema = schema.map(|schema| manifest::stored(schema.document().clone()));
        let schema = schema.transpose()?;
        let examples = examples::stored(&examples)?;
        let named = manifest::manifest(&script.digest, schema.as_deref(), examples.as_deref())?;
        let digest = manifest::digest(&named);
        if let Some(said) = said.filter(|said| *said != digest) {
            let rule = format!("must be {digest}, the digest of the content, not {said}");
            return Err(Error::field("digest", rule));
        }
        Ok(Release {
            version: Content {
                digest,
                script_digest: script.digest.clone(),
                script: script.source.clone(),
                schema,
                examples,
                functions,
            },
            tags,
        })
    }

    /// Runs the script once. Returns the names of the functions that it defines.
    async fn entry_functions(&self, tenant: TenantId, script: Arc<Script>) -> Result<Vec<String>> {
        let functions = self.drivers.check(tenant.0, script).await;
        let functions = functions.map_err(|error| refused("script", error))?;
        let decodes = |name: &String| DECODERS.contains(&name.as_str());
        if functions.iter().any(decodes) {
            return Ok(functions);
        }
        let rule = format!("must define one of {}", DECODERS.join(", "));
        Err(Error::field("script", rule))
    }
}

/// Returns the content of an export: the driver's metadata, and the selected version or all tagged versions.
pub async fn to_export<S: DeserializeOwned>(
    scope: &Scope,
    key: &DriverKey,
    pick: Option<Pick>,
) -> Result<(Metadata<S>, Vec<Version>)> {
    let driver: Driver<S> = drivers::get(scope, key).await?;
    let picks = match pick {
        Some(pick) => vec![pick],
        None => {
            let tagged: BTreeSet<String> = driver.tags.into_iter().map(|tag| tag.digest).collect();
            tagged.into_iter().map(Pick::Digest).collect()
        }
    };
    if picks.is_empty() {
        let rule = "is required: the driver has no tag";
        return Err(Error::of_field(Reason::Required, "reference", rule));
    }
    if picks.len() > VERSIONS_MAX {
        let rule = format!("is required: the driver has more than {VERSIONS_MAX} tagged versions");
        return Err(Error::of_field(Reason::Required, "reference", rule));
    }
    let mut versions = Vec::with_capacity(picks.len());
    for pick in &picks {
        versions.push(versions::get(scope, key, pick).await?);
    }
    Ok((driver.metadata, versions))
}
