//! Recovery after the last administrator's password was lost: from the command line, directly in the
//! database.

use super::passwords::{Asker, Passwords};
use crate::{
    error::{Error, Result},
    store::{
        Call, Store,
        access::users::{self, User},
    },
};

/// Name of the operation in the audit log.
const OPERATION: &str = "reset_password";

/// Sets another password and unlocks the user; an operator becomes an administrator again. All sessions of
/// the user end.
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
