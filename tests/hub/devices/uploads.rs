//! Files of devices as browsers and tools send them.

use serde_json::json;

use crate::{
    devices::importing::{counts, done, send},
    support::{
        database::{Database, on_both_databases},
        server::Hub,
    },
};

on_both_databases!(
    files_come_as_browsers_and_tools_send_them,
    forms_hold_one_file,
);

fn part(disposition: &str, kind: &str, content: &str) -> String {
    format!("--X\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n{content}\r\n")
}

async fn files_come_as_browsers_and_tools_send_them(database: Database) {
    let hub = Hub::start(database).await;
    const CSV: &str = "id,name\na,K\u{fc}che\n";
    const LINES: &str = "{\"id\":\"a\",\"name\":\"K\u{fc}che\"}\n";
    for (kind, file, format) in [
        ("text/csv", CSV, "csv"),
        ("text/csv; charset=utf-8; header=present", CSV, "csv"),
        ("TEXT/CSV;charset=\"UTF-8\"", CSV, "csv"),
        ("application/csv", CSV, "csv"),
        ("application/vnd.ms-excel", CSV, "csv"),
        ("text/plain", CSV, "csv"),
        ("application/x-ndjson", LINES, "ndjson"),
        ("application/ndjson", LINES, "ndjson"),
        ("application/jsonl; charset=utf-8", LINES, "ndjson"),
    ] {
        for query in [
            "?on_existing=update",
            &format!("?on_existing=update&format={format}"),
        ] {
            let begun = send(&hub, &hub.token, query, kind, file).await.created();
            let made = done(&hub, &begun).await;
            assert_eq!(
                (counts(&made), &made["format"]),
                ([1, 1, 0], &json!(format)),
                "{kind}"
            );
        }
        assert_eq!(hub.get("devices/a").await.ok()["name"], "Küche", "{kind}");
    }
    // The client's word on the encoding counts.
    let file = b"id,name\na,\x8co\xac\n";
    let begun = send(
        &hub,
        &hub.token,
        "?on_existing=update",
        "text/csv; charset=macintosh",
        &file[..],
    )
    .await;
    let made = done(&hub, &begun.created()).await;
    assert_eq!(made["encoding"], "macintosh");
    assert_eq!(hub.get("devices/a").await.ok()["name"], "åo¨");
    for (query, kind, start) in [
        (
            "?format=ndjson",
            "text/csv",
            "format: is ndjson, but the Content-Type of the file means csv",
        ),
        (
            "?format=csv",
            "application/ndjson",
            "format: is csv, but the Content-Type of the file means ndjson",
        ),
        (
            "",
            "text/csv; header=absent",
            "header Content-Type: must not be header=absent",
        ),
        (
            "",
            "text/csv; charset=klingon",
            "header Content-Type: must name a charset",
        ),
        (
            "",
            "application/x-www-form-urlencoded",
            "header Content-Type: must be application/octet-stream, text/csv, application/x-ndjson or multipart/form-data",
        ),
        (
            "",
            "",
            "header Content-Type: must be application/octet-stream, text/csv",
        ),
        (
            "",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "header Content-Type: must not be the type of a workbook: save the file as \"CSV UTF-8\"",
        ),
        (
            "",
            "multipart/form-data",
            "header Content-Type: must name the form's boundary",
        ),
    ] {
        let error = send(&hub, &hub.token, query, kind, CSV).await.refused(400);
        assert!(error.starts_with(start), "{kind}: {error}");
    }
}

async fn forms_hold_one_file(database: Database) {
    let hub = Hub::start_with(database, &["--import-max-bytes", "2000"]).await;
    const FORM: &str = "multipart/form-data; boundary=X";
    let csv = "Content-Type: text/csv\r\n";
    let file = |name: &str, kind: &str, content: &str| {
        part(
            &format!("name=\"file\"; filename=\"{name}\""),
            kind,
            content,
        )
    };
    let lines = "{\"id\":\"n1\"}\n{\"id\":\"n2\"}";
    for (form, format, rows) in [
        (file("devices.csv", csv, "id\na\nb"), "csv", 2),
        // The form that `curl -F file=@devices.csv` and Firefox on Windows send.
        (
            file(
                "devices.csv",
                "Content-Type: application/octet-stream\r\n",
                "id\na",
            ),
            "csv",
            1,
        ),
        (
            file(
                "d.csv",
                "Content-Type: application/vnd.ms-excel\r\n",
                "id\na",
            ),
            "csv",
            1,
        ),
        (file("d.csv", "", "id\na"), "csv", 1),
        (
            file(
                "d.ndjson",
                "Content-Type: application/octet-stream\r\n",
                lines,
            ),
            "ndjson",
            2,
        ),
        (
            file("d.txt", "Content-Type: application/x-ndjson\r\n", lines),
            "ndjson",
            2,
        ),
        (file("", "", "") + &file("d.csv", csv, "id\na"), "csv", 1),
    ] {
        let form = form + "--X--\r\n";
        let answer = send(&hub, &hub.token, "?on_existing=update", FORM, form.clone()).await;
        let made = done(&hub, &answer.created()).await;
        assert_eq!(
            (counts(&made), &made["format"]),
            ([rows, rows, 0], &json!(format)),
            "{form}"
        );
    }
    let good = file("d.csv", csv, "id\na");
    let large = file("d.csv", csv, &format!("id\n{}", "abcdefg\n".repeat(300)));
    let larger = file("d.csv", csv, &"abcdefg\n".repeat(20_000));
    for (query, form, start) in [
        (
            "?format=ndjson",
            good.clone() + "--X--\r\n",
            "format: is ndjson, but the Content-Type",
        ),
        (
            "",
            part("name=\"format\"", "", "csv") + &good + "--X--\r\n",
            "body: must have no part but the file",
        ),
        (
            "",
            good.clone() + &good + "--X--\r\n",
            "body: must have one file",
        ),
        (
            "",
            "--X--\r\n".to_owned(),
            "body: must have a part with a file",
        ),
        ("", good.clone(), "body: must be a whole multipart form"),
        (
            "",
            large + "--X--\r\n",
            "body: must have at most 2000 bytes",
        ),
        (
            "",
            larger + "--X--\r\n",
            "body: must have at most 2000 bytes",
        ),
        (
            "",
            file("d.xml", "Content-Type: text/xml\r\n", "<a/>") + "--X--\r\n",
            "the file's Content-Type: must be application/octet-stream, text/csv",
        ),
    ] {
        let error = send(&hub, &hub.token, query, FORM, form.clone())
            .await
            .refused(400);
        assert!(error.starts_with(start), "{form}: {error}");
    }
}
