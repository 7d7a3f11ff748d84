//! Comparison of usernames as people see them: regardless of case and of letters that look alike.
//!
//! The rules are those of Unicode Technical Standard 39.

use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection};

/// Separators allowed between letters of any script.
const SEPARATORS: [char; 4] = [' ', '-', '_', '.'];

/// The name without its case.
pub fn folded(username: &str) -> String {
    username.to_lowercase()
}

/// Returns the confusable skeleton: names that look the same have the same skeleton.
pub fn skeleton(username: &str) -> String {
    unicode_security::skeleton(&folded(username)).collect()
}

/// Rejects mixed scripts: the name must be "highly restrictive" in the standard's terms. Chinese, Japanese
/// and Korean may be mixed with Latin letters; Latin and Cyrillic may not.
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
