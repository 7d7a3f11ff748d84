//! Examples of a version: the expected output of a driver's function for an input. A version that fails one
//! of its own examples is rejected with the first difference.

use std::sync::Arc;

use serde_json::Value;

pub use crate::driver::examples::{Direction, Example};
use crate::{
    driver::{Invoke, Script, schema::Schema},
    error::{Error, Result},
    hub::{
        Hub,
        drivers::{manifest, refusal::refused},
    },
    id::TenantId,
};

/// Maximum number of examples of a version.
pub const EXAMPLES_MAX: usize = 100;
/// Maximum size of all examples of a version together, in bytes of JSON.
const BYTES_MAX: usize = 256 << 10;
/// Serializes the examples for storage; `None` if there are none.
pub fn stored(examples: &[Example]) -> Result<Option<String>> {
    if examples.is_empty() {
        return Ok(None);
    }
    let examples = serde_json::to_value(examples).map_err(Error::internal)?;
    let text = manifest::stored(examples)?;
    if text.len() > BYTES_MAX {
        let rule = format!("must have at most {BYTES_MAX} bytes of JSON together");
        return Err(Error::field("examples", rule));
    }
    Ok(Some(text))
}

impl Hub {
    /// Runs the examples one after the other.
    pub(in crate::hub) async fn check_examples(
        &self,
        tenant: TenantId,
        script: &Arc<Script>,
        functions: &[String],
        schema: Option<&Schema>,
        examples: &[Example],
    ) -> Result<()> {
        for (index, example) in examples.iter().enumerate() {
            let place = example.place(index);
            let function = example.function(functions);
            let function = function.map_err(|rule| Error::field(&place, rule))?;
            let called = Invoke {
                tenant: tenant.0,
                script: script.clone(),
                function: function.to_owned(),
                input: Value::Object(example.input.clone()),
                // An example's own `recvTime` stays a text, as in test runners.
                received_at: None,
            };
            let returned = self.drivers.invoke(called).await;
            let returned = returned.map_err(|error| refused(&place, error))?;
            let broken = example.problem(function, schema, &returned.result);
            if let Some(broken) = broken {
                return Err(Error::field(&place, broken));
            }
        }
        Ok(())
    }
}
