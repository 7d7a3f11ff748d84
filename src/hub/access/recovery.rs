//! The way back in for who has lost the last password: from the command line, on the data itself.

use super::passwords::{Asker, Passwords};
use crate::{
    error::{Error, Result},
    store::{
        Call, Store,
        access::users::{self, User},
    },
};

/// What the audit log calls it.
const OPERATION: &str = "reset_password";

/// Gives a user another password and unlocks it; an operator is an administrator again. Its sessions end.
pub async fn reset_password(store: &Store, username: &str, password: &str) -> Result<User> {
    let user = store.find_user(username).await?;
    let user = user.ok_or_else(|| Error::missing("user", username))?;
    let hash = Passwords::new()
        .new_hash(Asker::Hub, "password", password, &user.username)
        .await?;
    let scope = store.scope(user.tenant).on_behalf(Call {
        operation: OPERATION,
        user: None,
        api_key: None,
        name: "the command line".to_owned(),
        address: None,
        request_id: String::new(),
        revisions: None,
    });
    users::recover(&scope, user.id, hash).await
}
