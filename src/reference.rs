//! References to drivers, as devices hold them, in one grammar:
//!
//! ```text
//! reference = author "/" name [ ":" tag | "@" digest ]
//! digest    = "sha256:" 64 * ( "0" ... "9" | "a" ... "f" )
//! ```
//!
//! Author, name and tag are those of [`crate::text`]: ASCII letters and digits, with dots, dashes and
//! underscores between them, up to 63. With a tag, the device follows the tag wherever it is moved;
//! without one it follows `latest`; with a digest, it stays with one version.

use std::fmt;

use crate::text::{DriverAuthor, DriverName, DriverTag, Kind, Text};

/// Tag of a reference that names neither tag nor digest.
pub const LATEST: &str = "latest";

/// Author of the built-in drivers, which are not in the database; nobody can push under this name.
pub const BUILT_IN_AUTHOR: &str = "thingshub";

/// Prefix of every digest: the name of the hash function.
pub const DIGEST_PREFIX: &str = "sha256:";

/// A driver's author and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DriverKey {
    /// Name of the author.
    pub author: String,
    /// Name of the driver within the author's drivers.
    pub name: String,
}

/// A tag or digest that selects one version of a driver.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pick {
    /// The version that the tag points at.
    Tag(String),
    /// The version with this digest, including `sha256:`.
    Digest(String),
}

/// A driver and, optionally, one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The driver.
    pub key: DriverKey,
    /// The named version; `None` if the reference has neither tag nor digest.
    pub named: Option<Pick>,
}

impl Reference {
    /// Parses a reference; `None` if the text is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (author, rest) = text.split_once('/')?;
        let (name, named) = if let Some((name, digest)) = rest.split_once('@') {
            (
                name,
                Some(Pick::Digest(DriverDigest::new(digest).ok()?.into_string())),
            )
        } else if let Some((name, tag)) = rest.split_once(':') {
            (
                name,
                Some(Pick::Tag(DriverTag::new(tag).ok()?.into_string())),
            )
        } else {
            (rest, None)
        };
        let key = DriverKey {
            author: DriverAuthor::new(author).ok()?.into_string(),
            name: DriverName::new(name).ok()?.into_string(),
        };
        Some(Self { key, named })
    }

    /// Returns the named version, or the tag `latest`.
    pub fn pick(&self) -> Pick {
        let latest = || Pick::Tag(LATEST.to_owned());
        self.named.clone().unwrap_or_else(latest)
    }
}

impl fmt::Display for DriverKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.author, self.name)
    }
}

impl fmt::Display for Pick {
    /// Writes the suffix that follows the driver's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pick::Tag(tag) => write!(f, ":{tag}"),
            Pick::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.key, self.pick())
    }
}

/// A reference to a driver, as clients write it.
pub type DriverReference = Text<DriverReferenceKind>;

/// The rule of [`DriverReference`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DriverReferenceKind;

impl Kind for DriverReferenceKind {
    const MIN: usize = 3;
    const MAX: usize = 63 + 1 + 63 + 1 + DriverDigestKind::MAX;
    const RULE: &'static str =
        "must read author/name:tag, author/name or author/name@sha256:<64 hexadecimal digits>";
    const PATTERN: &'static str = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?(:[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?|@sha256:[0-9a-f]{64})?$";
    const EXAMPLE: &'static str = "dragino/lht65:1";

    fn admits(text: &str) -> bool {
        Reference::parse(text).is_some()
    }
}

/// The digest that identifies a version by its content.
pub type DriverDigest = Text<DriverDigestKind>;

/// The rule of [`DriverDigest`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DriverDigestKind;

impl Kind for DriverDigestKind {
    const MIN: usize = DIGEST_PREFIX.len() + 64;
    const MAX: usize = Self::MIN;
    const RULE: &'static str = "must read sha256: and 64 hexadecimal digits in lower case";
    const PATTERN: &'static str = "^sha256:[0-9a-f]{64}$";
    const EXAMPLE: &'static str =
        "sha256:29af4d47b3bc35420f7392de1e4ff3cdfe1447a67a91352cf4256e86761269d3";

    fn admits(text: &str) -> bool {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        text.strip_prefix(DIGEST_PREFIX)
            .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(is_digit))
    }
}

/// A version within its driver: a tag or a digest.
pub type DriverPick = Text<DriverPickKind>;

/// The rule of [`DriverPick`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DriverPickKind;

impl Kind for DriverPickKind {
    const MIN: usize = 1;
    const MAX: usize = DriverDigestKind::MAX;
    const RULE: &'static str = "must be a tag, or a digest: sha256: and 64 hexadecimal digits";
    const PATTERN: &'static str =
        r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?|sha256:[0-9a-f]{64})$";
    const EXAMPLE: &'static str = "1.1.0";

    fn admits(text: &str) -> bool {
        DriverTag::new(text).is_ok() || DriverDigest::new(text).is_ok()
    }
}

impl DriverPick {
    /// Converts the text to a tag or digest.
    pub fn into_pick(self) -> Pick {
        let text = self.into_string();
        // Only digests contain a colon.
        if text.contains(':') {
            Pick::Digest(text)
        } else {
            Pick::Tag(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::agreement;

    fn digest() -> String {
        format!("sha256:{}", "0a".repeat(32))
    }

    #[test]
    fn what_is_named_is_read_and_written_back() {
        let named = |text: &str| Reference::parse(text).unwrap().named;
        assert_eq!(named("a/b"), None);
        assert_eq!(named("a/b:1.0"), Some(Pick::Tag("1.0".to_owned())));
        let pinned = format!("a/b@{}", digest());
        assert_eq!(named(&pinned), Some(Pick::Digest(digest())));
        for text in ["a/b:1.0", "Acme.co/x_y-z:latest", &pinned] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Reference::parse("a/b").unwrap().to_string(), "a/b:latest");
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let (digest, long) = (digest(), "a".repeat(64));
        for bad in [
            "a",
            "a/",
            "/b",
            "a/b:",
            "a/b@",
            "a/b/c",
            "a/-b",
            "a/b:1:2",
            "a/b ",
            "ä/b",
            "a/溫度",
            "a/b:ü",
            "a\0/b",
            "a/b@sha256:00",
            "a/b@1",
            &format!("a/b:1@{digest}"),
            &format!("a/b@{}", digest.to_uppercase()),
            &format!("a/b@{digest}0"),
            &format!("a/b@{}", digest.replace("sha256", "sha512")),
            &format!("{long}/b"),
            &format!("a/{long}"),
            &format!("a/b:{long}"),
        ] {
            assert_eq!(Reference::parse(bad), None, "{bad}");
            assert!(DriverReference::new(bad).is_err(), "{bad}");
        }
        let longest = "a".repeat(63);
        assert!(DriverReference::new(format!("{longest}/{longest}@{digest}")).is_ok());
    }

    #[test]
    fn patterns_agree_with_the_checks() {
        agreement::check::<DriverReferenceKind>();
        agreement::check::<DriverDigestKind>();
        agreement::check::<DriverPickKind>();
    }
}
