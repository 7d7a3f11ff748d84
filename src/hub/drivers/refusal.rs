//! Failures of a driver while it is pushed.

use crate::{
    driver::{DriverError, DriverErrorKind},
    error::Error,
};

/// Converts a failure to an error of the field; failures that the driver has not caused become other errors.
pub fn refused(field: &str, error: DriverError) -> Error {
    match error.kind {
        DriverErrorKind::Overloaded => Error::overloaded("too many drivers are waiting to run"),
        DriverErrorKind::Unavailable => Error::silent("no driver worker can be started now"),
        DriverErrorKind::Crashed => {
            Error::away("the script could not be checked; try again", error)
        }
        _ => Error::field(field, error.at_line()),
    }
}
