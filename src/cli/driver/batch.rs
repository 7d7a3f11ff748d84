//! `driver run --batch`: reads calls as lines of JSON and writes a line of JSON for each, in the same order.
//!
//! Lines are only read ahead as far as calls may be in progress, so that a batch of any length takes the
//! same memory. A line that cannot be run is reported as an error of its own and does not stop the batch.

use std::io::{self, BufRead, BufReader, Read, Write};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::script::Scripts;
use super::workers::{TENANT, host};
use crate::cli::exit::Failure;
use crate::driver::{DriverError, DriverErrorKind, Host, Invoke, Limits};

/// Maximum length of a line: an input is a payload and some settings.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Calls in progress for each worker: enough that no worker waits for the next line.
const CALLS_PER_WORKER: usize = 32;

#[derive(Deserialize)]
struct Line {
    script: String,
    function: String,
    #[serde(default)]
    input: Value,
}

/// Answer to one line.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Result(Box<RawValue>),
    Error {
        kind: &'static str,
        message: String,
        line: Option<u32>,
    },
}

/// Runs the calls on standard input.
pub async fn run(mut limits: Limits) -> Result<(), Failure> {
    let under_way = limits.workers * CALLS_PER_WORKER;
    limits.queue = under_way;
    let host = host(limits).await?;
    let (sender, receiver) = mpsc::channel(under_way);
    // On a dedicated thread, because reading standard input blocks.
    let reader = std::thread::spawn(move || read(&sender));
    let calls = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let call = receiver.recv().await?;
        Some((call, receiver))
    });
    let answers = calls
        .map(|call| {
            let host = host.clone();
            // In a task of its own, so that calls continue while results are written.
            AbortOnDropHandle::new(tokio::spawn(async move { answer(&host, call).await }))
        })
        .buffered(under_way);
    let mut answers = std::pin::pin!(answers);
    // Written line by line, because a reader may wait for a result before it sends the next call.
    let mut output = io::stdout();
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|error| format!("a call ended without a result: {error}"))?;
        write(&mut output, &answer).map_err(|error| Failure::output(&error))?;
    }
    host.shutdown().await;
    match reader.join() {
        Ok(read) => read.map_err(|error| format!("standard input: {error}").into()),
        Err(_) => Err("standard input could not be read".to_owned().into()),
    }
}

/// Reads standard input to its end, or until the receiver is gone.
fn read(sender: &mpsc::Sender<Result<Invoke, String>>) -> io::Result<()> {
    let mut input = BufReader::new(io::stdin());
    let mut scripts = Scripts::default();
    while let Some(line) = next_line(&mut input)? {
        let call = line.and_then(|line| parse(&mut scripts, &line));
        if sender.blocking_send(call).is_err() {
            break;
        }
    }
    Ok(())
}

/// Returns the next line without its end; a line that is too long is skipped.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, String>>> {
    let mut line = Vec::new();
    let limit = LINE_BYTES_MAX as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > LINE_BYTES_MAX {
        input.skip_until(b'\n')?;
        let message = format!("the line is longer than {LINE_BYTES_MAX} bytes");
        return Ok(Some(Err(message)));
    }
    Ok(Some(Ok(line)))
}

fn parse(scripts: &mut Scripts, line: &[u8]) -> Result<Invoke, String> {
    let line: Line =
        serde_json::from_slice(line).map_err(|error| format!("the line is not a call: {error}"))?;
    Ok(Invoke {
        tenant: TENANT,
        script: scripts.get(&line.script)?,
        function: line.function,
        input: line.input,
        received_at: None,
    })
}

async fn answer(host: &Host, call: Result<Invoke, String>) -> Answer {
    let outcome = match call {
        Ok(invoke) => host.invoke(invoke).await,
        Err(message) => {
            let kind = DriverErrorKind::BadInput;
            Err(DriverError {
                kind,
                message,
                line: None,
                logs: Vec::new(),
                cpu_time_us: 0,
            })
        }
    };
    match outcome {
        Ok(returned) => Answer::Result(returned.json),
        Err(error) => Answer::Error {
            kind: error.kind.as_str(),
            message: error.message,
            line: error.line,
        },
    }
}

fn write(output: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    output.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_end_and_long_ones_are_passed_over() {
        let long = vec![b'x'; LINE_BYTES_MAX + 10];
        let text = [b"a\n\n", &long[..], b"\nlast"].concat();
        let mut input = BufReader::new(&text[..]);
        let mut next = || next_line(&mut input).unwrap();
        assert_eq!(next(), Some(Ok(b"a".to_vec())));
        assert_eq!(next(), Some(Ok(Vec::new())));
        assert!(next().unwrap().is_err());
        assert_eq!(next(), Some(Ok(b"last".to_vec())));
        assert_eq!(next(), None);
    }

    #[test]
    fn an_answer_keeps_its_digits() {
        let json = RawValue::from_string("[1e+21]".to_owned()).unwrap();
        let mut text = Vec::new();
        write(&mut text, &Answer::Result(json)).unwrap();
        assert_eq!(text, b"{\"result\":[1e+21]}\n");
    }
}
