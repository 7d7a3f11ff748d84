//! Requests and answers in their order, and the rules that did not hold.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// Lines about each broken rule that a failed test prints; the file has all of them.
const SHOWN: usize = 4;

/// Declares the rules with their words.
macro_rules! rules {
    ($($name:ident: $says:literal;)*) => {
        /// Rules that must hold, no matter what happens at once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $says] $name,)* }

        impl Rule {
            const ALL: &[Self] = &[$(Self::$name,)*];

            fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }
        }
    };
}

rules! {
    Kept: "an uplink that was acknowledged is stored";
    NotDoubled: "an uplink is stored once, and nothing is stored that was not sent";
    Rows: "a data table has one row for each uplink";
    Delivered: "each uplink reaches each integration, as one delivery";
    SentOnce: "what a receiver took is not sent again, unless a hub or the database failed meanwhile";
    Ordered: "an ordered integration gets each device's uplinks in their order";
    Replayed: "a replay forwards each uplink of its span once";
    Revoked: "nothing is served by what was revoked or switched off more than a second ago";
    Given: "what was made, given out or switched on more than a second ago works on every hub";
    OneWins: "of two changes with the same If-Match one wins, and what is stored is the winner's";
    NoFault: "no request is answered with 500";
    Explained: "each answer 5xx has its reason in the hub's log";
    NoDeadlock: "no client sees a deadlock";
    Answered: "each request is answered, in its time";
    Repeatable: "a cut request that is repeated with its Idempotency-Key is answered soon";
    DoneOnce: "a request with an Idempotency-Key has one effect";
    GoesOn: "each hub that runs goes on recording";
    Jobs: "imports and replays come to their end with all that they should do";
    OneUnderWay: "of a device's downlinks one is under way at a time";
    DownlinksEnd: "each downlink that was acknowledged is handed over or ends otherwise";
    StaysConfirmed: "a downlink that the network has confirmed stays acknowledged";
    Labels: "a selector picks the devices whose labels match it";
    Starts: "hubs start, together and again, and run until they are told to end";
    NoPanic: "no task of a hub panics";
}

#[derive(Default)]
struct Book {
    lines: Vec<(Duration, String)>,
    broken: BTreeMap<Rule, Vec<(Duration, String)>>,
}

/// The journal of one run.
pub struct Journal {
    name: String,
    began: Instant,
    book: Mutex<Book>,
}

impl Journal {
    /// An empty one; the name stands in the name of its file.
    pub fn new(name: String) -> Self {
        Self {
            name,
            began: Instant::now(),
            book: Mutex::default(),
        }
    }

    /// Writes down what happened.
    pub fn note(&self, what: String) {
        self.book().lines.push((self.began.elapsed(), what));
    }

    /// Writes down that a rule did not hold.
    pub fn broken(&self, rule: Rule, what: String) {
        let at = self.began.elapsed();
        let mut book = self.book();
        book.lines.push((at, format!("BROKEN {rule:?}: {what}")));
        book.broken.entry(rule).or_default().push((at, what));
    }

    /// Holds a rule.
    pub fn hold(&self, rule: Rule, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(rule, what());
        }
    }

    /// Tells how each rule fared; an error if one is broken, which says where the rest can be read.
    pub fn close(&self, logs: &[(String, String)]) -> Result<(), String> {
        let book = self.book();
        if book.broken.is_empty() {
            println!("{}: all {} rules hold", self.name, Rule::ALL.len());
            return Ok(());
        }
        let mut said = String::new();
        for (rule, cases) in &book.broken {
            let _ = writeln!(said, "{rule:?} ({}): {} times", rule.says(), cases.len());
            for (at, case) in cases.iter().take(SHOWN) {
                let _ = writeln!(said, "    {} {case}", seconds(*at));
            }
        }
        let held = Rule::ALL
            .iter()
            .filter(|rule| !book.broken.contains_key(rule));
        let held: Vec<String> = held.map(|rule| format!("{rule:?}")).collect();
        let _ = writeln!(said, "held: {}", held.join(", "));
        let journal: String = book
            .lines
            .iter()
            .map(|(at, line)| format!("{} {line}\n", seconds(*at)))
            .collect();
        let mut files = vec![self.write("journal", &format!("{said}\n{journal}"))];
        files.extend(logs.iter().map(|(hub, log)| self.write(hub, log)));
        let name = &self.name;
        Err(format!(
            "{name}: rules are broken\n{said}all that happened: {files:#?}"
        ))
    }

    fn write(&self, what: &str, text: &str) -> PathBuf {
        let file = format!("stress-{}-{what}.log", self.name);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}

fn seconds(at: Duration) -> String {
    format!("{:9.3}", at.as_secs_f64())
}
