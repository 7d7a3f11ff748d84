//! What went wrong, and whether it is worth trying again.

use kafka_protocol::ResponseError;

/// Why a record was not written, in words that name no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason, for a person.
    pub words: String,
    /// What can be done.
    pub cure: Cure,
}

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// Trying again later.
    Wait,
    /// Asking again who leads the partition, and trying again.
    AskAgain,
    /// Nothing: this record will never be taken.
    None,
}

impl Failure {
    /// It may be tried again later.
    pub fn wait(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            cure: Cure::Wait,
        }
    }

    /// It may be tried again when it is known who leads.
    pub fn ask_again(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            cure: Cure::AskAgain,
        }
    }

    /// It will never be taken.
    pub fn hopeless(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            cure: Cure::None,
        }
    }

    /// Whether trying again would only fail again.
    pub fn is_final(&self) -> bool {
        self.cure == Cure::None
    }

    /// What a broker says of a topic.
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

    /// What a broker says of a connection.
    pub fn of_connection(error: ResponseError) -> Self {
        Self::wait(match error {
            ResponseError::SaslAuthenticationFailed => {
                "the broker refuses the username or the password".to_owned()
            }
            error => in_words(error),
        })
    }
}

fn in_words(error: ResponseError) -> String {
    format!(
        "the broker refuses: {} ({error:?})",
        error.to_string().trim_end_matches('.')
    )
}
