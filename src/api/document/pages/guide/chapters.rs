//! The chapters of the guide, in reading order.

/// A chapter.
pub struct Chapter {
    /// Name of its file in `docs/` without the extension, and its name in the URL.
    pub name: &'static str,
    /// Group in which the list of chapters shows it.
    pub group: &'static str,
    /// Content in one line, for the list of chapters.
    pub summary: &'static str,
    /// Text in Markdown.
    pub text: &'static str,
}

macro_rules! chapters {
    ($($group:literal: $($name:literal $summary:literal)+;)+) => {
        /// Groups of chapters, in reading order.
        pub const GROUPS: &[&str] = &[$($group),+];

        /// All chapters. Those of a group follow each other.
        pub const CHAPTERS: &[Chapter] = &[$($(Chapter {
            name: $name,
            group: $group,
            summary: $summary,
            text: include_str!(concat!("../../../../../docs/", $name, ".md")),
        }),+),+];
    };
}

chapters! {
    "Using the API":
        "authentication" "Log in, send the token, use API keys, and the keys of networks and streams"
        "access" "Roles, operators, password rules, limits on guesses, proxies"
        "errors" "The error object, the eight status codes, reasons, request ids and retries"
        "pagination" "Pages, cursors, order, totals"
        "selectors" "Pick devices by their labels"
        "concurrency" "Change a resource only if nobody else has: ETag and If-Match"
        "idempotency" "Repeat a POST without doing it twice: Idempotency-Key"
        "time" "Format, time zone and precision of times"
        "limits" "Every limit, and what happens beyond it"
        "browsers" "Use the API and follow events from pages in a browser"
        "http" "HTTP versions, caches, compression, slow clients"
        "compatibility" "What may change, what may not, and what clients must tolerate";
    "Devices and networks":
        "networks" "Receive messages from network servers"
        "mqtt" "Receive messages from brokers, and publish to them"
        "downlinks" "Send messages to devices, and set their desired state"
        "device-files" "Import and export devices as CSV and NDJSON";
    "Data tables":
        "data-tables" "Store decoded data, ask for rows, export them"
        "exports" "Send new rows to SFTP, S3 or a folder, on a schedule";
    "Drivers":
        "drivers" "Write and test a driver"
        "driver-registry" "Versions, tags, roll back, export and import"
        "driver-schema" "Describe the fields of a driver's data"
        "driver-state" "Drivers with a state, and several updates in one uplink"
        "cayenne-lpp" "The built-in driver for Cayenne LPP"
        "sandbox" "How drivers are isolated";
    "Data":
        "analyse" "Aggregates, charts and last values; Python, DuckDB and Grafana";
    "Integrations":
        "integrations" "Forward data to other systems"
        "messages" "Messages that you receive, member by member, and how to verify them"
        "delivery" "Order, retries, dead letters, replay";
    "Operation":
        "metrics" "Collect metrics, a dashboard, and alert rules"
        "traces" "Export traces to an OpenTelemetry collector"
        "data-directory" "Files, their permissions, certificates"
        "secrets" "What is encrypted with which key, and how to change the key"
        "figures" "Measured throughput and latency";
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_in_docs_is_a_chapter() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        let files: BTreeSet<String> = fs::read_dir(docs)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .collect();
        let chapters = CHAPTERS.iter().map(|chapter| chapter.name.to_owned());
        assert_eq!(chapters.collect::<BTreeSet<_>>(), files);
    }
}
