//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// Operations on the caller's own session and account, which API keys do not have.
const OWN: &[&str] = &[
    "get_token",
    "delete_token",
    "get_own_user",
    "update_own_user",
    "change_own_password",
];
/// Operations for administrators of a tenant.
const OF_ADMINISTRATORS: &[&str] = &[
    "create_user",
    "list_users",
    "get_user",
    "create_api_key",
    "list_api_keys",
    "get_api_key",
    "delete_api_key",
    "list_audit_log",
];
/// Operations for operators of the installation.
const OF_OPERATORS: &[&str] = &[
    "create_tenant",
    "list_tenants",
    "get_tenant",
    "update_tenant",
    "delete_tenant",
];

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[
    // Sessions and the own account.
    DeclaredError {
        operations: &["create_token"],
        reason: Reason::BadCredentials,
        cause: "The user name or the password is wrong, or the user is locked. The response does not reveal which. \
                Ask the user to type both again; do not repeat the request unchanged.",
        message: "invalid credentials",
    },
    DeclaredError {
        operations: &["create_token"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule: `username` has 3 to 30 characters, `password` 1 to 1024. A \
                password that is too short for a new user is compared like any other.",
        message: "username: must have 3 to 30 characters",
    },
    DeclaredError {
        operations: &["create_token", "change_own_password"],
        reason: Reason::Throttled,
        cause: "Too many wrong passwords of this user came from your address within 15 minutes (setting \
                `login_failures_max`), or would have come if the attempts in progress fail. Wait for `Retry-After` \
                seconds; a correct password is rejected as well until then.",
        message: "too many wrong passwords of this user from this address; wait a while",
    },
    DeclaredError {
        operations: &["create_token", "change_own_password"],
        reason: Reason::Overloaded,
        cause: "The hub is comparing as many passwords as it can, for your address or for all. Repeat the request \
                after `Retry-After` seconds.",
        message: "too many passwords of this address at a time",
    },
    DeclaredError {
        operations: &["get_token", "delete_token", "get_own_user"],
        reason: Reason::Invalid,
        cause: "The request has a header `If-Match` that is not an ETag. The operation does not need this header.",
        message: "header If-Match: must be an ETag of this resource, such as \"7\", several of them separated by \
                  commas, or *",
    },
    DeclaredError {
        operations: OWN,
        reason: Reason::Expired,
        cause: "The session has expired. Log in again.",
        message: "this session has expired",
    },
    DeclaredError {
        operations: OWN,
        reason: Reason::Forbidden,
        cause: "The request carries an API key, which has no session and no account. Use the token of a user who has \
                logged in.",
        message: "an API key may not do this",
    },
    DeclaredError {
        operations: &["update_own_user"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule: `email` is empty or an address such as `ada@example.com`, and \
                `full_name` and `country` have at most 120 characters on one line.",
        message: "email: must have the form somebody@somewhere",
    },
    DeclaredError {
        operations: &["change_own_password"],
        reason: Reason::BadCredentials,
        cause: "`current_password` is not the user's password, or the password was changed at the same time.",
        message: "current_password: is not the password",
    },
    DeclaredError {
        operations: &["change_own_password"],
        reason: Reason::Invalid,
        cause: "`new_password` breaks a rule: it has 10 to 1024 characters, does not contain the user name, is not \
                one character repeated, and is not easy to guess.",
        message: "new_password: must not be easy to guess: this is a very common password",
    },
    DeclaredError {
        operations: &["change_own_password"],
        reason: Reason::StaleRevision,
        cause: "The request has a header `If-Match`, and the user has been changed since that version. Read the user \
                again, or omit the header.",
        message: "header If-Match: it has been changed since; its ETag is \"8\" now",
    },
    // Users.
    DeclaredError {
        operations: OF_ADMINISTRATORS,
        reason: Reason::Forbidden,
        cause: "The user is not an administrator of the tenant, or the request carries an API key: no API key can \
                reach users, API keys or the audit log.",
        message: "only an administrator may do this",
    },
    DeclaredError {
        operations: &["create_user"],
        reason: Reason::AlreadyExists,
        cause: "A user of any tenant has this name, in upper or lower case, or one that looks like it. Choose another \
                name.",
        message: "username: another user has this name, or one that looks like it, already",
    },
    DeclaredError {
        operations: &["create_user"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule. `username` has 3 to 30 letters and digits of one script, `-`, \
                `_`, `.` and inner spaces. `password` has 10 to 1024 characters, does not contain the user name, and \
                is not easy to guess.",
        message: "username: must not mix letters of scripts such as Latin and Cyrillic",
    },
    DeclaredError {
        operations: &["create_user"],
        reason: Reason::Throttled,
        cause: "Within 15 minutes, your tenant has tried to create 100 users whose names belong to users of other \
                tenants, or is trying to create as many users at a time. Wait for `Retry-After` seconds.",
        message: "too many names of other tenants' users were asked for; wait a while",
    },
    DeclaredError {
        operations: &["create_user", "update_user", "create_tenant"],
        reason: Reason::Overloaded,
        cause: "The hub is hashing as many passwords as it can, for your tenant or for all. Repeat the request after \
                `Retry-After` seconds.",
        message: "too many passwords of this tenant at a time",
    },
    DeclaredError {
        operations: &["list_users"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, or `cursor` belongs to a list with another filter or order.",
        message: "cursor: must be a next_cursor that this list has answered",
    },
    DeclaredError {
        operations: &["get_user", "update_user", "delete_user"],
        reason: Reason::NotFound,
        cause: "Your tenant has no user with this id.",
        message: "there is no user \"7\"",
    },
    DeclaredError {
        operations: &["update_user"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule. A new `password` has 10 to 1024 characters, does not contain \
                the user name, and is not easy to guess; `role` is `admin`, `editor` or `viewer`.",
        message: "password: must not contain the username",
    },
    DeclaredError {
        operations: &["update_user", "delete_user"],
        reason: Reason::Forbidden,
        cause: "The caller is not an administrator of the tenant, or is not an operator of the installation although \
                the user is one.",
        message: "only an operator of the installation may change or delete an operator",
    },
    DeclaredError {
        operations: &["update_user"],
        reason: Reason::WrongState,
        cause: "The user is the last administrator of the tenant, or the last operator of the installation, who can \
                log in, and would be locked or get another role. Make another user an administrator first.",
        message: "\"admin\" is the last administrator of the tenant: make another user one first",
    },
    DeclaredError {
        operations: &["delete_user"],
        reason: Reason::WrongState,
        cause: "The user is the last administrator of the tenant who can log in, or an operator of the installation, \
                which cannot be deleted.",
        message: "id: this user manages the installation; it stays",
    },
    // API keys.
    DeclaredError {
        operations: &["create_api_key"],
        reason: Reason::AlreadyExists,
        cause: "Another API key of the tenant has this name. Choose another name, or delete that key first.",
        message: "name: another API key has this name already",
    },
    DeclaredError {
        operations: &["create_api_key"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule: `scopes` has 1 to 12 different scopes, and `expires_at` is in \
                the future.",
        message: "expires_at: must be in the future",
    },
    DeclaredError {
        operations: &["get_api_key", "delete_api_key"],
        reason: Reason::NotFound,
        cause: "Your tenant has no API key with this id.",
        message: "there is no API key \"3\"",
    },
    // Tenants.
    DeclaredError {
        operations: OF_OPERATORS,
        reason: Reason::Forbidden,
        cause: "The user is not an operator of the installation, or the request carries an API key.",
        message: "only who manages the installation may do this",
    },
    DeclaredError {
        operations: &["create_tenant", "update_tenant"],
        reason: Reason::AlreadyExists,
        cause: "Another tenant has this name. Choose another name.",
        message: "name: another tenant has this name already",
    },
    DeclaredError {
        operations: &["create_tenant"],
        reason: Reason::AlreadyExists,
        cause: "A user of any tenant has the name of the administrator, or one that looks like it. No tenant is \
                created.",
        message: "administrator.username: another user has this name, or one that looks like it, already",
    },
    DeclaredError {
        operations: &["create_tenant"],
        reason: Reason::Invalid,
        cause: "A member of the body breaks its rule. The rules for name and password of the administrator are those \
                of `POST /api/v3/users`.",
        message: "administrator.password: must have 10 to 1024 characters",
    },
    DeclaredError {
        operations: &["get_tenant", "update_tenant", "delete_tenant"],
        reason: Reason::NotFound,
        cause: "The installation has no tenant with this id.",
        message: "there is no tenant \"2\"",
    },
    DeclaredError {
        operations: &["delete_tenant"],
        reason: Reason::WrongState,
        cause: "The tenant is the one that you belong to, which cannot be deleted.",
        message: "id: this is your own tenant; it stays",
    },
    // Audit log.
    DeclaredError {
        operations: &["list_audit_log"],
        reason: Reason::Invalid,
        cause: "A query parameter breaks its rule, `to` is before `from`, or `cursor` belongs to a list with another \
                filter or order.",
        message: "to: must not be before from",
    },
];
