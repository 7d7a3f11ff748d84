//! Memory for request bodies: bounded for all bodies together, and for each tenant, or for each address while
//! the tenant is unknown. Files have a limit of their own ([`super::files`]).

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use poem::Request;

use super::{caller::Authenticated, client::Client};
use crate::{
    error::Error,
    hub::subscriber,
    id::TenantId,
    shares::{Full, Place, Shares},
};

/// Maximum number of bytes of all bodies together.
const ALL_MAX_BYTES: usize = 96 << 20;
/// Maximum number of bytes of one tenant or address, unless a single body may be larger.
const SHARE_MAX_BYTES: usize = 24 << 20;
/// Size up to which a body is not counted, in bytes. Most bodies are smaller, and the number of requests is
/// bounded.
const FREE_BYTES: usize = 16 * 1024;
/// Smallest amount of memory that is reserved at a time, in bytes.
const STEP_BYTES: usize = 128 * 1024;

/// Memory for the bodies of all requests; part of the request's data.
#[derive(Clone)]
pub struct BodyRooms {
    rooms: Shares<Owner>,
    share_max_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Tenant(TenantId),
    Address(IpAddr),
}

/// Memory reserved for the body of one request. It is held to the end of the request, because the bytes live on
/// in another form after they were read.
#[derive(Clone, Default)]
pub struct BodyRoom(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    bytes: usize,
    places: Vec<Place<Owner>>,
}

impl BodyRooms {
    /// Returns memory limits in which one share holds a body of `body_max_bytes`.
    pub fn new(body_max_bytes: usize) -> Self {
        Self {
            rooms: Shares::new(ALL_MAX_BYTES.max(body_max_bytes)),
            share_max_bytes: SHARE_MAX_BYTES.max(body_max_bytes),
        }
    }

    fn take(&self, owner: Owner, bytes: usize) -> Result<Place<Owner>, Error> {
        let whose = match owner {
            Owner::Tenant(_) => "this tenant",
            Owner::Address(_) => "this address",
        };
        let taken = self.rooms.take(bytes, [(owner, self.share_max_bytes)]);
        taken.map_err(|full| match full {
            Full::All => Error::overloaded("too many large bodies at a time; try again"),
            Full::Share(_) => {
                let what = format!("too many large bodies of {whose} at a time; try again");
                Error::overloaded(&what)
            }
        })
    }
}

impl BodyRoom {
    /// Reserves memory for a body that is `length` bytes long so far.
    pub fn grow(request: &Request, length: usize) -> Result<(), Error> {
        if length <= FREE_BYTES {
            return Ok(());
        }
        let missing = || Error::internal("nothing makes room for bodies");
        let room: &Self = request.data().ok_or_else(missing)?;
        let mut taken = room.0.lock().unwrap_or_else(PoisonError::into_inner);
        if length <= taken.bytes {
            return Ok(());
        }
        let rooms: &BodyRooms = request.data().ok_or_else(missing)?;
        let bytes = (length - taken.bytes).max(STEP_BYTES);
        // A share holds the largest body, but not the rounded-up step beyond it.
        let bytes = bytes.min(rooms.share_max_bytes.saturating_sub(taken.bytes));
        let place = rooms.take(owner(request)?, bytes)?;
        taken.bytes += bytes;
        taken.places.push(place);
        Ok(())
    }
}

fn owner(request: &Request) -> Result<Owner, Error> {
    if let Some(caller) = request.extensions().get::<Authenticated>() {
        return Ok(Owner::Tenant(caller.caller.scope.tenant()));
    }
    let client: Option<&Client> = request.data();
    let client = client.ok_or_else(|| Error::internal("a request without an address"))?;
    Ok(Owner::Address(subscriber(client.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(rooms: &BodyRooms, address: &str) -> Request {
        let mut request = Request::default();
        request.set_data(rooms.clone());
        request.set_data(BodyRoom::default());
        request.set_data(Client(address.parse().unwrap()));
        request
    }

    #[test]
    fn bodies_of_one_address_have_its_share() {
        let rooms = BodyRooms::new(1 << 20);
        let (first, second) = (request(&rooms, "192.0.2.1"), request(&rooms, "192.0.2.1"));
        let other = request(&rooms, "192.0.2.2");
        // The length grows piece by piece, as the body arrives.
        for length in (0..=SHARE_MAX_BYTES).step_by(60_000) {
            BodyRoom::grow(&first, length).unwrap();
        }
        BodyRoom::grow(&first, SHARE_MAX_BYTES).unwrap();
        BodyRoom::grow(&second, FREE_BYTES).unwrap();
        let refused = BodyRoom::grow(&second, FREE_BYTES + 1).unwrap_err();
        assert!(refused.to_string().contains("this address"), "{refused}");
        BodyRoom::grow(&other, 1 << 20).unwrap();
        drop(first);
        BodyRoom::grow(&second, SHARE_MAX_BYTES).unwrap();
    }

    #[test]
    fn all_bodies_have_a_bound_and_the_largest_has_a_share() {
        let rooms = BodyRooms::new(60 << 20);
        let one = request(&rooms, "192.0.2.1");
        BodyRoom::grow(&one, 60 << 20).unwrap();
        let other = request(&rooms, "192.0.2.2");
        let refused = BodyRoom::grow(&other, 60 << 20).unwrap_err();
        assert!(
            refused.to_string().contains("at a time; try again"),
            "{refused}"
        );
    }
}
