//! Usernames as people see them: in whatever case, and without letters that only look like others.
//!
//! The rules are those of Unicode Technical Standard 39.

use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection};

/// What may stand between letters, whatever script they are of.
const SEPARATORS: [char; 4] = [' ', '-', '_', '.'];

/// The name without its case.
pub fn folded(username: &str) -> String {
    username.to_lowercase()
}

/// What the name looks like: names that people cannot tell apart have the same.
pub fn skeleton(username: &str) -> String {
    unicode_security::skeleton(&folded(username)).collect()
}

/// Refuses scripts that are not written together: the name must be "highly restrictive" in the standard's
/// words. Chinese, Japanese and Korean are written with each other's letters and Latin ones; Latin and
/// Cyrillic are not.
pub fn check_scripts(username: &str) -> Result<(), &'static str> {
    let letters = username.chars().filter(|one| !SEPARATORS.contains(one));
    let letters: String = letters.collect();
    let letters = letters.as_str();
    let is_fine = letters.is_single_script()
        || letters.check_restriction_level(RestrictionLevel::HighlyRestrictive);
    match is_fine {
        true => Ok(()),
        false => Err("must not mix letters of scripts such as Latin and Cyrillic"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_are_written_together_may_be_mixed() {
        for good in [
            "admin",
            "ada.lovelace-1",
            "Türsensor",
            "Ève Ñandú",
            "Иван Иванов",
            "山田たろう",
            "山田 John",
            "Kim 김",
            "أحمد",
            "ᎠᎡᎢ",
        ] {
            assert_eq!(check_scripts(good), Ok(()), "{good}");
        }
        // With a Cyrillic or Greek letter in each.
        for bad in ["\u{430}dmin", "r\u{43e}ot", "r\u{3bf}ot", "admin-\u{430}"] {
            assert!(check_scripts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_look_alike_have_one_skeleton() {
        for (one, other) in [
            ("admin", "ADMIN"),
            ("admin", "adrnin"),
            ("ace", "\u{430}\u{441}\u{435}"),
            ("admin", "ａｄｍｉｎ"),
            ("user1", "userl"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
        for (one, other) in [("ada", "eve"), ("Müller", "Muller"), ("user1", "user2")] {
            assert_ne!(skeleton(one), skeleton(other), "{one} {other}");
        }
    }
}
