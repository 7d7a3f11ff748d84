//! Errors that are specific to these operations.

use crate::{api::http::declared_error::DeclaredError, error::Reason};

/// The errors, in the order of their resources.
pub const ERRORS: &[DeclaredError] = &[
    DeclaredError {
        operations: &["follow_events"],
        reason: Reason::Invalid,
        cause: "A parameter breaks its rule: `selector` is no label selector, a word in `kinds` is no kind of event, \
                `for_s` is not 0 to 86400, or `after` or `Last-Event-ID` is no UUID. An id that does not exist is no \
                error: the stream starts with what was stored after its time.",
        message: "selector: at column 13: expected a label, found the end",
    },
    DeclaredError {
        operations: &["create_stream_key"],
        reason: Reason::Overloaded,
        cause: "The session or API key has 10,000 valid stream keys already. Each is valid for 10 minutes: use one for \
                several streams.",
        message: "too many stream keys of this session or API key are valid",
    },
    DeclaredError {
        operations: &["follow_events"],
        reason: Reason::Overloaded,
        cause: "As many streams as the hub, the tenant, or the user or API key may have are open (settings \
                `live_streams_max`, `live_streams_tenant_max` and `live_streams_user_max`; the message names the \
                one). Close another stream, or use one stream with a wider selector.",
        message: "too many live streams of this user or key are open (setting live_streams_user_max)",
    },
];
