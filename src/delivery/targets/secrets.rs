//! The secrets of a target, and what is kept of its answers without them: a receiver that repeats what it
//! was sent must not make them readable for everybody who may see deliveries.

use super::Answer;

/// Shorter ones are left: they would be found in words that have nothing to do with them.
const BYTES_MIN: usize = 4;
const IN_THEIR_PLACE: &str = "***";

/// Secrets that a target sends.
pub struct Secrets(Vec<String>);

impl Secrets {
    /// These.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let long = |secret: &String| secret.len() >= BYTES_MIN;
        let mut secrets: Vec<String> = secrets.into_iter().filter(long).collect();
        // One may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The answer without them.
    pub fn left_out_of(&self, answer: Answer) -> Answer {
        Answer {
            error: answer.error.map(|text| self.left_out(text)),
            text: answer.text.map(|text| self.left_out(text)),
            ..answer
        }
    }

    fn left_out(&self, mut text: String) -> String {
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), IN_THEIR_PLACE);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_whole() {
        let secrets = ["abcd", "abcdef", "x"].map(str::to_owned);
        let answer = Secrets::new(secrets).left_out_of(Answer {
            text: Some("got abcdef, abcd and x".to_owned()),
            ..Answer::failed("no abcd")
        });
        assert_eq!(answer.text.as_deref(), Some("got ***, *** and x"));
        assert_eq!(answer.error.as_deref(), Some("no ***"));
    }
}
