//! Memory for the pages that answer lists: bounded for all tenants together, and for each of them. A page keeps its
//! room until its client has taken the response.

use crate::{
    error::{Error, Result},
    id::TenantId,
    shares::{Full, Place, Shares},
};

/// Maximum number of bytes of all pages together.
const ALL_MAX_BYTES: usize = 64 << 20;
/// Maximum number of bytes of the pages of one tenant.
const TENANT_MAX_BYTES: usize = 24 << 20;
/// Memory up to which a page is not counted, in bytes. Most pages are smaller, and the number of requests is bounded.
const FREE_BYTES: usize = 32 * 1024;

/// Memory for pages.
pub struct Rooms(Shares<TenantId>);

/// Memory that is reserved for a page; `None` if it is small.
#[must_use]
pub struct Room(Option<Place<TenantId>>);

impl Default for Rooms {
    fn default() -> Self {
        Self(Shares::new(ALL_MAX_BYTES))
    }
}

impl Rooms {
    /// Reserves so many bytes of memory for a page of a tenant.
    ///
    /// # Errors
    /// Fails with an overload if there is no room; the caller must try again later.
    pub fn take(&self, tenant: TenantId, bytes: usize) -> Result<Room> {
        if bytes <= FREE_BYTES {
            return Ok(Room(None));
        }
        // One page has room in a share, also if it consists of a single item that is larger.
        let bytes = bytes.min(TENANT_MAX_BYTES);
        let taken = self.0.take(bytes, [(tenant, TENANT_MAX_BYTES)]);
        taken.map(|place| Room(Some(place))).map_err(|full| {
            Error::overloaded(match full {
                Full::All => "too many large pages at a time; try again, or request a lower limit",
                Full::Share(_) => {
                    "too many large pages of this tenant at a time; try again, or request a lower limit"
                }
            })
        })
    }
}

impl Room {
    /// Returns a room that reserves nothing.
    pub fn none() -> Self {
        Self(None)
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("Room")
            .field(&self.0.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_tenant_have_its_share_and_all_have_a_bound() {
        let rooms = Rooms::default();
        let page = TENANT_MAX_BYTES / 2;
        let refused = |tenant, bytes| rooms.take(TenantId(tenant), bytes).unwrap_err().to_string();
        let mut held: Vec<_> = (0..2)
            .map(|_| rooms.take(TenantId(1), page).unwrap())
            .collect();
        assert!(refused(1, FREE_BYTES + 1).contains("of this tenant"));
        held.push(rooms.take(TenantId(1), FREE_BYTES).unwrap());
        // A single item may be larger than the share.
        held.push(rooms.take(TenantId(2), 100 * page).unwrap());
        held.push(rooms.take(TenantId(3), page).unwrap());
        assert!(refused(4, page).contains("large pages at a time"));
        held.clear();
        let _all = rooms.take(TenantId(4), page).unwrap();
    }
}
