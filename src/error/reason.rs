//! Reasons of errors: the stable words by which a program tells errors apart.
//!
//! The words, their statuses and their meanings are part of the contract: clients compare them, so a word never
//! changes its meaning.

/// Reason of an error, sent in the header `X-Error-Reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Malformed,
    PlainHttp,
    UnsupportedMediaType,
    TooLarge,
    BodyTimeout,
    UnexpectedBody,
    UnknownParameter,
    UnknownMember,
    Required,
    Invalid,
    UnknownReference,
    AlreadyExists,
    InUse,
    StaleRevision,
    WrongState,
    LimitReached,
    IdempotencyKeyReused,
    IdempotencyKeyPending,
    BadCredentials,
    Unauthenticated,
    Expired,
    Forbidden,
    NoSuchPath,
    MethodNotAllowed,
    NotFound,
    Internal,
    Unavailable,
    Overloaded,
    Throttled,
    ShuttingDown,
}

/// Properties of a reason.
struct Meaning {
    word: &'static str,
    status: u16,
    cause: &'static str,
}

const fn meaning(word: &'static str, status: u16, cause: &'static str) -> Meaning {
    Meaning {
        word,
        status,
        cause,
    }
}

impl Reason {
    /// All reasons, by status.
    pub const ALL: [Reason; 30] = [
        Reason::Malformed,
        Reason::PlainHttp,
        Reason::UnsupportedMediaType,
        Reason::TooLarge,
        Reason::BodyTimeout,
        Reason::UnexpectedBody,
        Reason::UnknownParameter,
        Reason::UnknownMember,
        Reason::Required,
        Reason::Invalid,
        Reason::UnknownReference,
        Reason::AlreadyExists,
        Reason::InUse,
        Reason::StaleRevision,
        Reason::WrongState,
        Reason::LimitReached,
        Reason::IdempotencyKeyReused,
        Reason::IdempotencyKeyPending,
        Reason::BadCredentials,
        Reason::Unauthenticated,
        Reason::Expired,
        Reason::Forbidden,
        Reason::NoSuchPath,
        Reason::MethodNotAllowed,
        Reason::NotFound,
        Reason::Internal,
        Reason::Unavailable,
        Reason::Overloaded,
        Reason::Throttled,
        Reason::ShuttingDown,
    ];

    /// The word itself.
    pub const fn word(self) -> &'static str {
        self.meaning().word
    }

    /// Status code of errors with this reason.
    pub const fn status(self) -> u16 {
        self.meaning().status
    }

    /// Meaning, in one sentence for the developer of a client.
    pub const fn cause(self) -> &'static str {
        self.meaning().cause
    }

    /// True if the request conflicts with the current state of the hub: the same request may succeed later.
    pub const fn is_conflict(self) -> bool {
        matches!(
            self,
            Reason::AlreadyExists
                | Reason::InUse
                | Reason::StaleRevision
                | Reason::WrongState
                | Reason::LimitReached
                | Reason::IdempotencyKeyPending
        )
    }

    const fn meaning(self) -> Meaning {
        match self {
            Reason::Malformed => meaning(
                "malformed",
                400,
                "The request is no valid HTTP, or its body is no valid JSON, CSV, gzip or multipart data.",
            ),
            Reason::PlainHttp => meaning(
                "plain_http",
                400,
                "The request arrived over plain HTTP. Use https://.",
            ),
            Reason::UnsupportedMediaType => meaning(
                "unsupported_media_type",
                400,
                "The operation does not accept this `Content-Type`, `Content-Encoding` or charset.",
            ),
            Reason::TooLarge => meaning(
                "too_large",
                400,
                "The body, once decompressed, a part of it, the URL or the head of the request is larger than the limit in \
                 the message.",
            ),
            Reason::BodyTimeout => meaning(
                "body_timeout",
                400,
                "The body did not arrive completely within the time in the message, or the connection broke off.",
            ),
            Reason::UnexpectedBody => meaning(
                "unexpected_body",
                400,
                "The operation takes no request body, but the request has one.",
            ),
            Reason::UnknownParameter => meaning(
                "unknown_parameter",
                400,
                "The query has a parameter that the operation does not take, or the same parameter twice.",
            ),
            Reason::UnknownMember => meaning(
                "unknown_member",
                400,
                "The body has a member that the schema does not list.",
            ),
            Reason::Required => meaning(
                "required",
                400,
                "A member or parameter that the operation requires is missing.",
            ),
            Reason::Invalid => meaning(
                "invalid",
                400,
                "A member or parameter breaks a rule. The message names both.",
            ),
            Reason::UnknownReference => meaning(
                "unknown_reference",
                400,
                "The request refers to a resource that does not exist in this tenant.",
            ),
            Reason::AlreadyExists => meaning(
                "already_exists",
                400,
                "Another resource has this name, id or address.",
            ),
            Reason::InUse => meaning(
                "in_use",
                400,
                "Other resources use this one. Change or delete those first.",
            ),
            Reason::StaleRevision => meaning(
                "stale_revision",
                400,
                "The resource has changed since you read the version in `If-Match`. Read it again.",
            ),
            Reason::WrongState => meaning(
                "wrong_state",
                400,
                "The operation is not possible in the current state or for this kind of resource.",
            ),
            Reason::LimitReached => meaning(
                "limit_reached",
                400,
                "The tenant or the resource already has the maximum number of such items.",
            ),
            Reason::IdempotencyKeyReused => meaning(
                "idempotency_key_reused",
                400,
                "The `Idempotency-Key` was used for another request. Use a new key for each new request.",
            ),
            Reason::IdempotencyKeyPending => meaning(
                "idempotency_key_pending",
                400,
                "The first request with this `Idempotency-Key` has no response to repeat, or not yet.",
            ),
            Reason::BadCredentials => meaning(
                "bad_credentials",
                400,
                "The user name or the password is wrong, or the user is locked.",
            ),
            Reason::Unauthenticated => meaning(
                "unauthenticated",
                401,
                "The request has no valid token or key.",
            ),
            Reason::Expired => meaning(
                "expired",
                401,
                "The session or the key has expired. Log in again, or use another key.",
            ),
            Reason::Forbidden => meaning(
                "forbidden",
                403,
                "The caller's role or the API key's scopes do not permit this operation.",
            ),
            Reason::NoSuchPath => meaning("no_such_path", 404, "The hub has no such path."),
            Reason::MethodNotAllowed => meaning(
                "method_not_allowed",
                404,
                "The path does not take this method. The header `Allow` lists those that it takes.",
            ),
            Reason::NotFound => meaning(
                "not_found",
                404,
                "The resource does not exist, or belongs to another tenant.",
            ),
            Reason::Internal => meaning(
                "internal",
                500,
                "An unexpected fault inside the hub. Its log has the details under the `X-Request-Id`.",
            ),
            Reason::Unavailable => meaning(
                "unavailable",
                503,
                "The database or another service that the hub needs cannot be used now.",
            ),
            Reason::Overloaded => meaning(
                "overloaded",
                503,
                "Too many requests of this kind, caller, address or tenant are running.",
            ),
            Reason::Throttled => meaning(
                "throttled",
                503,
                "Too many attempts of this caller failed. Wait for `Retry-After` seconds.",
            ),
            Reason::ShuttingDown => meaning(
                "shutting_down",
                503,
                "The hub is shutting down. Retry the request on its successor.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_unique_and_listed_by_status() {
        let words: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        assert!(Reason::ALL.is_sorted_by_key(|reason| reason.status()));
        for word in words {
            assert!(
                word.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{word}"
            );
        }
    }
}
