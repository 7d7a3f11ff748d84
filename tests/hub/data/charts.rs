//! Charts: pictures that parse, show the extremes and the gaps, and run nothing.

use roxmltree::Document;
use serde_json::{Value, json};

use crate::support::{
    database::{Database, on_both_databases},
    rows::fill,
    server::{Answer, Hub, next_frame},
};

on_both_databases!(
    extremes_and_gaps_are_drawn,
    a_device_has_a_chart_and_its_name_stays_a_text,
    charts_that_cannot_be_drawn_are_refused,
);

const COLUMNS: &str = "tenant_id, id, data_table_id, device_id, ts, data";
const SVG: &str = "http://www.w3.org/2000/svg";

async fn table(hub: &Hub, columns: Value) -> Value {
    let table = json!({"name": "Tank <b>1</b> & co", "selector": "", "columns": columns});
    hub.post("data-tables", &table).await.created()["id"].clone()
}

/// Adds a row for each minute, with this number in place of `n.i`.
pub async fn minutes(hub: &Hub, many: u32, table: &Value, device: &str, number: &str, from_s: u64) {
    let (at, data) = match &hub.database {
        Database::Sqlite => (
            format!("strftime('%Y-%m-%dT%H:%M:%S+00:00', {from_s} + n.i * 60, 'unixepoch')"),
            format!("'{{\"v\": ' || {number} || '}}'"),
        ),
        Database::Postgres(_) => (
            format!("to_timestamp({from_s} + n.i * 60)"),
            format!("('{{\"v\": ' || {number} || '}}')::jsonb"),
        ),
    };
    let values = format!("1, ID, {table}, '{device}', {at}, {data}");
    fill(hub, many, "data_table_rows", COLUMNS, &values).await;
}

/// The lines of a chart: the coordinates of each, without those of the legend.
fn lines(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let document = Document::parse(svg).unwrap();
    let drawn = document
        .descendants()
        .filter(|node| node.has_tag_name((SVG, "polyline")));
    let widths = drawn.filter(|node| node.attribute("stroke-width") == Some("2"));
    let points = widths.map(|node| {
        let points = node.attribute("points").unwrap().split_whitespace();
        points
            .map(|point| {
                let (x, y) = point.split_once(',').unwrap();
                (x.parse().unwrap(), y.parse().unwrap())
            })
            .collect::<Vec<(f64, f64)>>()
    });
    points
        .filter(|points| !matches!(points[..], [a, b] if a.1 == b.1 && b.0 - a.0 == 16.0))
        .collect()
}

pub fn picture(answer: Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "image/svg+xml");
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("sandbox") && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "private, max-age=30");
    assert_eq!(answer.headers["vary"], "Authorization");
    let document = Document::parse(&answer.text).unwrap();
    for node in document.descendants().filter(|node| node.is_element()) {
        let name = node.tag_name().name();
        assert!(
            !["script", "a", "image", "foreignObject", "use"].contains(&name),
            "{name}"
        );
        assert!(
            !node
                .attributes()
                .any(|one| one.name().starts_with("on") || one.name() == "href")
        );
    }
    answer.text
}

async fn extremes_and_gaps_are_drawn(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(
        &hub,
        json!([{"path": "v", "type": "number", "unit": "m³/h"}]),
    )
    .await;
    // Five thousand rows with one that stands out, a gap of a day, and another device.
    let odd = "CASE n.i WHEN 1234 THEN '1000' ELSE cast(n.i % 10 AS text) END";
    minutes(&hub, 5000, &table, "a", odd, 1_767_225_600).await;
    minutes(
        &hub,
        100,
        &table,
        "a",
        "'5'",
        1_767_225_600 + 5000 * 60 + 86_400,
    )
    .await;
    minutes(&hub, 100, &table, "b", "'-50'", 1_767_225_600).await;
    let path = format!("data-tables/{table}/chart.svg");
    let svg = picture(
        hub.get(&format!("{path}?width=800&height=300&timezone=Asia/Tokyo"))
            .await,
    );
    let lines = lines(&svg);
    assert_eq!(
        lines.len(),
        3,
        "two parts of one device, and the other: {svg}"
    );
    let points = &lines[0];
    assert!((400..=802).contains(&points.len()), "{}", points.len());
    let highest = points.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    let second = points
        .iter()
        .filter(|point| *point != highest)
        .map(|point| point.1);
    assert!(
        second.fold(f64::MAX, f64::min) > highest.1 + 150.0,
        "one stands out"
    );
    let (left, right) = (points[0].0, points[points.len() - 1].0);
    let part = (highest.0 - left) / (right - left);
    assert!((part - 1233.0 / 4999.0).abs() < 0.01, "{part}");
    for text in [
        "Tank &lt;b&gt;1&lt;/b&gt; &amp; co",
        "a v (m³/h)",
        "b v (m³/h)",
    ] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
    let in_utc = picture(hub.get(&format!("{path}?width=800&height=300")).await);
    assert_eq!(self::lines(&in_utc), lines, "the same points");
    assert_ne!(in_utc, svg, "with other times");
    let dark = picture(
        hub.get(&format!(
            "{path}?theme=dark&device_id=b&width=200&height=100"
        ))
        .await,
    );
    assert!(dark.contains("#181B1F") && !dark.contains("a v"), "{dark}");
    let none = picture(hub.get(&format!("{path}?device_id=none")).await);
    assert!(none.contains("no data"), "{none}");
    // What is beyond all bounds is left out, in both directions.
    for (device, huge) in [("deep", "-1e300"), ("high", "1e300")] {
        let number = format!("CASE n.i WHEN 2 THEN '{huge}' ELSE '5' END");
        minutes(&hub, 3, &table, device, &number, 1_767_225_600).await;
        let drawn = picture(hub.get(&format!("{path}?device_id={device}")).await);
        assert_eq!(self::lines(&drawn)[0].len(), 2, "{device}: {drawn}");
    }
}

async fn a_device_has_a_chart_and_its_name_stays_a_text(database: Database) {
    let hub = Hub::start(database).await;
    let connection = hub.connect("tts").await;
    let script = "function decodeUplink(input) { return {data: {t: input.bytes[0]}}; }";
    hub.push("a/b", "1", script).await;
    let eui = "AA00000000000001";
    let name = "\"/><script>alert(1)</script>";
    hub.device(
        "d",
        &connection,
        eui,
        json!({"driver": "a/b:1", "name": name}),
    )
    .await;
    for (minute, payload) in [(10, "AQ=="), (20, "Ag=="), (30, "Aw==")] {
        let message = json!({
            "end_device_ids": {"device_id": "d", "dev_eui": eui, "dev_addr": "00000001"},
            "uplink_message": {"f_cnt": next_frame(), "f_port": 5, "frm_payload": payload,
                "received_at": format!("2026-01-31T12:{minute}:00Z")},
        });
        hub.ingest(&connection, message.to_string()).await.ok();
    }
    let svg = picture(hub.get("devices/d/chart.svg?columns=t").await);
    let lines = lines(&svg);
    assert_eq!(lines.len(), 1, "{svg}");
    assert_eq!(lines[0].len(), 3, "{svg}");
    let span = "from=2026-01-31T12:15:00Z&to=2026-01-31T12:30:00Z";
    let part = picture(
        hub.get(&format!("devices/d/chart.svg?columns=t&{span}"))
            .await,
    );
    let drawn = self::lines(&part);
    let points: usize = drawn.iter().map(Vec::len).sum();
    assert_eq!(points, 0, "only that of 12:20, which is no line: {part}");
    assert!(
        part.contains("<circle") && !part.contains("no data"),
        "{part}"
    );
    let from = "from=2026-01-31T12:15:00Z";
    let rest = picture(
        hub.get(&format!("devices/d/chart.svg?columns=t&{from}"))
            .await,
    );
    assert_eq!(self::lines(&rest)[0].len(), 2, "{rest}");
    let document = Document::parse(&svg).unwrap();
    let mut texts = document.descendants().filter_map(|node| node.text());
    assert!(texts.any(|text| text.trim() == name), "{svg}");
    let wrong = "devices/d/chart.svg?columns=t&width=1";
    let error = hub.get(wrong).await.refused(400);
    assert!(error.starts_with("width: must be an integer"), "{error}");
    hub.get("devices/none/chart.svg?columns=t")
        .await
        .refused(404);
}

async fn charts_that_cannot_be_drawn_are_refused(database: Database) {
    let hub = Hub::start(database).await;
    let table = table(&hub, Value::Null).await;
    for device in 0..13 {
        minutes(&hub, 2, &table, &format!("d{device}"), "'5'", 1_767_225_600).await;
    }
    let path = format!("data-tables/{table}/chart.svg");
    for (query, start) in [
        (
            "columns=v",
            "device_id: the chart would have more than 12 lines",
        ),
        ("", "columns: is required"),
        (
            "columns=v&width=100",
            "width: must be an integer from 200 to 2000",
        ),
        (
            "columns=v&height=5000",
            "height: must be an integer from 100 to 1200",
        ),
        ("columns=v&theme=pink", "theme: "),
        ("columns=v&timezone=Moon", "timezone: must be the name"),
        (
            "columns=v&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "to: must not be before from",
        ),
    ] {
        let error = hub.get(&format!("{path}?{query}")).await.refused(400);
        assert!(error.starts_with(start), "{query}: {error}");
    }
    picture(hub.get(&format!("{path}?columns=v&device_id=d1,d2")).await);
    // Any period can be drawn.
    picture(
        hub.get(&format!(
            "{path}?columns=v&device_id=d1&from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z"
        ))
        .await,
    );
}
