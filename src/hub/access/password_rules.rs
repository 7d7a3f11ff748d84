//! Rules for new passwords.
//!
//! They follow NIST SP 800-63B: a minimum length, no rules on the composition, and no passwords that an
//! attacker would try first.

use zxcvbn::{Score, zxcvbn};

use crate::error::{Error, Result};

/// Minimum length of a new password, in characters.
pub const PASSWORD_MIN: usize = 10;
/// Minimum score: passwords below it are found with fewer than a million guesses. They are common passwords,
/// names, dates, keyboard patterns and slight changes of them.
const SCORE_MIN: Score = Score::Two;
/// The product's name, which is an obvious guess here.
const OWN_NAME: &str = "thingshub";

/// Checks the rules that cost no time: length, username and repetition.
pub fn check_form(field: &str, password: &str, username: &str) -> Result<()> {
    if password.chars().count() < PASSWORD_MIN {
        return Err(Error::field(
            field,
            format!("must have at least {PASSWORD_MIN} characters"),
        ));
    }
    let folded = password.to_lowercase();
    if folded.contains(&username.to_lowercase()) {
        return Err(Error::field(field, "must not contain the username"));
    }
    let mut characters = folded.chars();
    let first = characters.next();
    if characters.all(|character| Some(character) == first) {
        return Err(Error::field(
            field,
            "must not be a single repeated character",
        ));
    }
    Ok(())
}

/// Checks how hard the password is to guess, which takes some milliseconds.
pub fn check_strength(field: &str, password: &str, username: &str) -> Result<()> {
    let found = zxcvbn(password, &[username, OWN_NAME]);
    if found.score() >= SCORE_MIN {
        return Ok(());
    }
    let warning = found.feedback().and_then(|feedback| feedback.warning());
    let why = warning.map_or_else(
        || "choose several words that do not belong together".to_owned(),
        |warning| sentence_end(&warning.to_string()),
    );
    Err(Error::field(
        field,
        format!("must not be easy to guess: {why}"),
    ))
}

/// Turns a sentence into the end of another one: lower case at the start, no full stop.
fn sentence_end(sentence: &str) -> String {
    let mut characters = sentence.trim_end_matches('.').chars();
    let first = characters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for bad in [
            "1234567890",
            "password123",
            "Password1234!",
            "P@ssw0rd123",
            "qwertyuiop",
            "1q2w3e4r5t",
            "iloveyou123",
            "abcabcabcabc",
            "thingshub1",
            "thingshub123",
            "administrator",
            "aaaaaaaaab",
        ] {
            let error = check_strength("password", bad, "somebody").unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("password: must not be easy to guess: "),
                "{bad}: {text}"
            );
            assert!(!text.contains(bad), "{text}");
        }
        for good in [
            "correct horse battery",
            "correct horse battery staple",
            "another long password",
            "another correct horse",
            "benchmark-password",
            "f3Jk-29xq-Lmw8",
            "Donaudampfschifffahrt",
        ] {
            assert!(
                check_strength("password", good, "somebody").is_ok(),
                "{good}"
            );
        }
        assert!(check_strength("password", "lovelace2024", "ada.lovelace").is_err());
    }

    #[test]
    fn a_long_password_is_judged_by_its_beginning() {
        // The cost of the check must not grow with the length.
        for long in ["aB3$".repeat(256), "password".repeat(128), "ü1".repeat(512)] {
            let _ = check_strength("password", &long, "somebody");
        }
    }
}
