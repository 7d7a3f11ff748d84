//! Failures as text, and whether they can be retried.

use kafka_protocol::ResponseError;

/// The reason why a record was not written, as text without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, for a person.
    pub words: String,
    /// The remedy.
    pub remedy: Remedy,
}

/// The remedy for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Retry later.
    Wait,
    /// Look up the partition's leader again, then retry.
    AskAgain,
    /// No retry: this record will never be accepted.
    None,
}

impl Failure {
    /// A failure that can be retried later.
    pub fn wait(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            remedy: Remedy::Wait,
        }
    }

    /// A failure that can be retried when the leader is known.
    pub fn ask_again(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            remedy: Remedy::AskAgain,
        }
    }

    /// A permanent failure.
    pub fn hopeless(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            remedy: Remedy::None,
        }
    }

    /// Returns true if a retry would fail again.
    pub fn is_final(&self) -> bool {
        self.remedy == Remedy::None
    }

    /// A broker's error about a topic.
    pub fn of_topic(topic: &str, error: ResponseError) -> Self {
        use ResponseError as E;
        match error {
            E::UnknownTopicOrPartition => Self::ask_again(format!(
                "there is no topic {topic}, or the user may not see it"
            )),
            E::TopicAuthorizationFailed => {
                Self::wait(format!("the user may not write to the topic {topic}"))
            }
            E::LeaderNotAvailable => Self::ask_again(format!("the topic {topic} has no leader")),
            E::NotLeaderOrFollower
            | E::FencedLeaderEpoch
            | E::KafkaStorageError
            | E::ReplicaNotAvailable => Self::ask_again(in_words(error)),
            E::MessageTooLarge
            | E::RecordListTooLarge
            | E::InvalidRecord
            | E::InvalidTimestamp
            | E::InvalidTopicException => Self::hopeless(in_words(error)),
            error => Self::wait(in_words(error)),
        }
    }

    /// A broker's error about a connection.
    pub fn of_connection(error: ResponseError) -> Self {
        Self::wait(match error {
            ResponseError::SaslAuthenticationFailed => return Self::login_refused(),
            error => in_words(error),
        })
    }

    /// The broker rejects the username and password.
    pub fn login_refused() -> Self {
        Self::wait("the broker refuses the username or the password")
    }
}

fn in_words(error: ResponseError) -> String {
    format!(
        "the broker refuses: {} ({error:?})",
        error.to_string().trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_broker_will_ever_take_is_told_from_what_may_pass() {
        use ResponseError as E;
        for (error, remedy) in [
            (E::MessageTooLarge, Remedy::None),
            (E::RecordListTooLarge, Remedy::None),
            (E::InvalidTopicException, Remedy::None),
            (E::NotLeaderOrFollower, Remedy::AskAgain),
            (E::UnknownTopicOrPartition, Remedy::AskAgain),
            (E::TopicAuthorizationFailed, Remedy::Wait),
            (E::NotEnoughReplicas, Remedy::Wait),
            (E::Unknown(999), Remedy::Wait),
        ] {
            let failure = Failure::of_topic("iot", error);
            assert_eq!(failure.remedy, remedy, "{error:?}");
            assert_eq!(failure.is_final(), remedy == Remedy::None);
        }
    }
}
