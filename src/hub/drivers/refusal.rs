//! Failures of a driver that somebody pushes.

use crate::{
    driver::{DriverError, DriverErrorKind},
    error::Error,
};

/// What a failure of the driver says about a field; what is no fault of the driver is another error.
pub fn refused(field: &str, error: DriverError) -> Error {
    match error.kind {
        DriverErrorKind::Overloaded => Error::overloaded("too many drivers are waiting to run"),
        DriverErrorKind::Unavailable => Error::overloaded("no driver worker can be started now"),
        DriverErrorKind::Crashed => {
            Error::away("the script could not be checked; try again", error)
        }
        _ => Error::field(field, error.at_line()),
    }
}
