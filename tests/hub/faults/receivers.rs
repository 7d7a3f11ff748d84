//! Receivers that misbehave: what becomes of their deliveries, in which words, and that nobody else
//! has to wait for it.

use serde_json::{Value, json};

use super::receiver::{
    Broken, Port,
    Then::{self, Close, Hang, Repeat},
};
use crate::{
    eventually,
    support::{
        certificates::{self, Authority},
        database::{Database, on_both_databases},
        server::{Connection, Hub},
        sink::{Cue, Sink},
    },
};

on_both_databases!(
    each_fault_ends_dead_and_says_why,
    a_2xx_delivers_whatever_its_body_does,
    what_hangs_delays_nobody,
    a_slow_receiver_is_waited_for,
    a_receiver_says_when_to_come_back,
    an_authorization_server_says_when_to_come_back,
    a_network_server_says_when_to_come_back,
    a_redirect_leads_nowhere,
);

const EUI: &str = "AA00000000000001";
/// An answer that goes on for ever must not be read for ever: what fits in the sockets' buffers and
/// what the hub reads for good manners is less.
const ANSWER_MAX_BYTES: u64 = 32 << 20;
/// Concurrent attempts of an integration by default.
const CONCURRENCY: usize = 16;

/// A hub that tries twice, a second each, with a connection and the device `d`.
async fn hub(database: Database, flags: &[&str], authority: Option<&str>) -> (Hub, Connection) {
    let settings = ["--outgoing-allow", "127.0.0.1/32,::1/128"];
    let trusted = authority.map(|path| ("SSL_CERT_FILE", path));
    let environment: Vec<(&str, &str)> = trusted.into_iter().collect();
    let hub = Hub::start_in(database, &[&settings, flags].concat(), &environment).await;
    let connection = hub.connect("tts").await;
    hub.device("d", &connection, EUI, json!({})).await;
    (hub, connection)
}

/// The integration's only delivery, once it is neither waiting nor under way.
async fn settled(hub: &Hub, integration: i64) -> Value {
    let path = format!("integrations/{integration}/deliveries");
    eventually("the delivery is settled", async || {
        let mut found = hub.list(&path).await;
        assert_eq!(found.len(), 1, "{found:?}");
        let open = ["pending", "sending"].contains(&found[0]["state"].as_str().unwrap());
        (!open).then(|| found.remove(0))
    })
    .await
}

async fn each_fault_ends_dead_and_says_why(database: Database) {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, authority.pem()).unwrap();
    let flags = ["--delivery-schedule-s", "0", "--delivery-timeout-s", "2"];
    let (hub, connection) = hub(database, &flags, trusted.to_str()).await;

    let plain = async |says, then| Broken::start(Port::Plain, says, then).await;
    let tls = async |acceptor| Broken::start(Port::Tls(acceptor), "", Close).await;
    let no_such_host = "http://no-such-host.invalid/";
    // The receiver, the status that the hub got to see, and a word of its reason.
    let cases: Vec<(&str, Broken, Option<u16>, &str)> = vec![
        ("down", Broken::refuses(), None, "refused"),
        ("hangs", plain("", Hang).await, None, "no answer in"),
        (
            "hangs in the head",
            plain("HTTP/1.1 2", Hang).await,
            None,
            "no answer in",
        ),
        (
            "an interim answer alone",
            plain("HTTP/1.1 100 Continue\r\n\r\n", Hang).await,
            None,
            "no answer in",
        ),
        ("closes", plain("", Close).await, None, "closed"),
        (
            "closes in the head",
            plain("HTTP/1.1 200 O", Close).await,
            None,
            "closed",
        ),
        (
            "a head for ever",
            plain("HTTP/1.1 200 OK\r\n", Repeat("x: yyyyyyyyyyyyyyyy\r\n")).await,
            None,
            "too large",
        ),
        (
            "interim answers for ever",
            plain("", Repeat("HTTP/1.1 100 Continue\r\n\r\n")).await,
            None,
            "too large",
        ),
        (
            "not HTTP",
            plain("220 mail.example ESMTP\r\n\r\n", Close).await,
            None,
            "invalid HTTP",
        ),
        (
            "429",
            plain(
                "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n",
                Close,
            )
            .await,
            Some(429),
            "429",
        ),
        (
            "503",
            plain(
                "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
                Close,
            )
            .await,
            Some(503),
            "503",
        ),
        (
            "closes in the body",
            plain("HTTP/1.1 500 Oh\r\ncontent-length: 99\r\n\r\nhalf", Close).await,
            Some(500),
            "500",
        ),
        (
            "a body for ever",
            plain("HTTP/1.1 502 Oh\r\n\r\n", Repeat("filler")).await,
            Some(502),
            "502",
        ),
        (
            "hangs in the handshake",
            Broken::start(Port::Mute, "", Hang).await,
            None,
            "no answer in",
        ),
        (
            "no TLS",
            Broken::start(Port::Greets, "220 mail.example ESMTP\r\n", Hang).await,
            None,
            "corrupt message",
        ),
        (
            "self-signed",
            tls(certificates::self_signed()).await,
            None,
            "UnknownIssuer",
        ),
        ("expired", tls(authority.expired()).await, None, "expired"),
        (
            "somebody else's name",
            tls(authority.for_another()).await,
            None,
            "not valid for name",
        ),
    ];

    let mut integrations = Vec::new();
    for (name, receiver, ..) in &cases {
        integrations.push(hub.integration(name, "", &receiver.url).await);
    }
    let nowhere = hub.integration("no such name", "", no_such_host).await;
    let right = Broken::start(
        Port::Tls(authority.right()),
        "HTTP/1.1 204 No Content\r\n\r\n",
        Close,
    )
    .await;
    let right = (hub.integration("right", "", &right.url).await, right);
    hub.uplink(&connection, EUI).await;

    // Nothing but the certificates is wrong with TLS.
    assert_eq!(settled(&hub, right.0).await["state"], "delivered");
    assert_eq!(right.1.requests(), 1);
    for ((name, receiver, status, reason), integration) in cases.iter().zip(integrations) {
        let dead = settled(&hub, integration).await;
        assert_eq!(dead["state"], "dead", "{name}: {dead}");
        assert_eq!(dead["last_status"], json!(status), "{name}: {dead}");
        assert_eq!(dead["next_attempt_at"], Value::Null, "{name}: {dead}");
        says(&dead, name, reason);
        assert!(receiver.longest_answer() < ANSWER_MAX_BYTES, "{name}");
    }
    let dead = settled(&hub, nowhere).await;
    assert_eq!(dead["state"], "dead", "{dead}");
    says(&dead, "no such name", "lookup");
}

/// Both attempts and the delivery give the reason, and no more than a person wants to read.
fn says(delivery: &Value, name: &str, reason: &str) {
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{name}: {delivery}");
    let told = attempts.iter().map(|attempt| &attempt["error"]);
    for error in told.chain([&delivery["last_error"]]) {
        let error = error.as_str().unwrap_or_default();
        assert!(error.contains(reason), "{name}: {error:?} lacks {reason:?}");
        assert!(error.chars().count() <= 300, "{name}: {error}");
        assert!(!error.contains("/hook"), "{name}: {error} tells the URL");
    }
}

async fn a_2xx_delivers_whatever_its_body_does(database: Database) {
    let flags = ["--delivery-schedule-s", "0", "--delivery-timeout-s", "2"];
    let (hub, connection) = hub(database, &flags, None).await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut receivers = Vec::new();
    for (says, then) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf", Close),
        (
            "HTTP/1.1 202 Accepted\r\ncontent-length: 99\r\n\r\nhalf",
            Hang,
        ),
        (chunked, Repeat("6\r\nfiller\r\n")),
        (chunked, Repeat("no chunk at all\r\n")),
    ] {
        let receiver = Broken::start(Port::Plain, says, then).await;
        let name = format!("receiver {}", receivers.len());
        let integration = hub.integration(&name, "", &receiver.url).await;
        receivers.push((integration, receiver));
    }
    hub.uplink(&connection, EUI).await;
    for (integration, receiver) in receivers {
        let delivery = settled(&hub, integration).await;
        assert_eq!(delivery["state"], "delivered", "{delivery}");
        assert_eq!(delivery["attempt"], 1, "{delivery}");
        assert_eq!(receiver.requests(), 1);
        assert!(receiver.longest_answer() < ANSWER_MAX_BYTES);
    }
}

async fn what_hangs_delays_nobody(database: Database) {
    // Far longer than anybody here waits.
    let flags = ["--delivery-timeout-s", "600"];
    let (hub, connection) = hub(database, &flags, None).await;
    let endless = "HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n";
    let ways: [(Port, &str, Then); 5] = [
        (Port::Plain, "", Hang),
        (Port::Plain, "HTTP/1.1 20", Hang),
        (
            Port::Plain,
            "HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\nhalf",
            Hang,
        ),
        (Port::Plain, endless, Hang),
        (Port::Plain, "HTTP/1.1 100 Continue\r\n\r\n", Hang),
    ];
    let mut hanging = Vec::new();
    for (number, (port, says, then)) in ways.into_iter().enumerate() {
        let receiver = Broken::start(port, says, then).await;
        hub.integration(&format!("hanging {number}"), "", &receiver.url)
            .await;
        // An attempt with a status ends, although the body hangs: the next one follows.
        hanging.push((receiver, says.contains("500")));
    }
    let willing = Sink::willing().await;
    let integration = hub.integration("willing", "", &willing.url).await;
    for round in 1..=3 {
        for _ in 0..10 {
            hub.uplink(&connection, EUI).await;
        }
        willing.gets(round * 10).await;
    }
    for (receiver, has_status) in &hanging {
        let requests = receiver.requests();
        let is_bounded = *has_status || requests <= CONCURRENCY;
        assert!(requests > 0 && is_bounded, "{}: {requests}", receiver.url);
    }
    let path = format!("integrations/{integration}/deliveries");
    eventually("all is delivered at the first attempt", async || {
        let found = hub.list(&path).await;
        // A delivery whose outcome is not stored yet has none.
        assert!(
            found
                .iter()
                .all(|delivery| delivery["attempt"].as_u64() <= Some(1))
        );
        let delivered = found.iter().filter(|found| found["state"] == "delivered");
        (delivered.count() == 30).then_some(())
    })
    .await;
}

async fn a_slow_receiver_is_waited_for(database: Database) {
    let (hub, connection) = hub(database, &["--delivery-timeout-s", "600"], None).await;
    let slow = Sink::start(&[Cue::Wait], Cue::Status(200)).await;
    let integration = hub.integration("slow", "", &slow.url).await;
    hub.uplink(&connection, EUI).await;
    slow.gets(1).await;
    let path = format!("integrations/{integration}/deliveries");
    assert_eq!(hub.list(&path).await[0]["state"], "sending");
    slow.go_on();
    let delivery = settled(&hub, integration).await;
    assert_eq!(delivery["state"], "delivered", "{delivery}");
    assert_eq!(
        (&delivery["attempt"], slow.received().len()),
        (&json!(1), 1)
    );
}

async fn a_receiver_says_when_to_come_back(database: Database) {
    let (hub, connection) = hub(database, &["--delivery-schedule-s", "1,1"], None).await;
    // Each `Retry-After`, and the bounds in seconds of the wait that follows.
    let cases = [
        (
            "HTTP/1.1 429 Slow\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n",
            120..=150,
        ),
        (
            "HTTP/1.1 503 Later\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n",
            120..=150,
        ),
        (
            "HTTP/1.1 429 Slow\r\nretry-after: 4000000000\r\ncontent-length: 0\r\n\r\n",
            3600..=3630,
        ),
        (
            "HTTP/1.1 503 Later\r\nretry-after: Tue, 29 Oct 2199 08:00:00 GMT\r\ncontent-length: 0\r\n\r\n",
            3600..=3630,
        ),
    ];
    // However it is written; what else can be read is in the unit tests.
    let written = [
        ("retry-after: 120.5", 120..=150),
        ("retry-after: 1e30", 3600..=3630),
        ("retry-after: 99999999999999999999999", 3600..=3630),
        ("retry-after: 2199-10-29T08:00:00Z", 3600..=3630),
        ("retry-after: Tue Oct 29 08:00:00 2199", 3600..=3630),
        (
            "retry-after: 1\r\nretry-after: 120\r\nretry-after: soon",
            120..=150,
        ),
        (
            "date: Tue, 29 Oct 2199 08:00:00 GMT\r\nretry-after: 2199-10-29 10:02:00+02:00",
            120..=150,
        ),
    ];
    let written = written.map(|(header, wait)| {
        let says = format!("HTTP/1.1 503 Later\r\n{header}\r\ncontent-length: 0\r\n\r\n");
        (&*says.leak(), wait)
    });
    let mut receivers = Vec::new();
    for (says, wait) in cases.into_iter().chain(written) {
        let receiver = Broken::start(Port::Plain, says, Close).await;
        let name = format!("receiver {}", receivers.len());
        receivers.push((
            hub.integration(&name, "", &receiver.url).await,
            receiver,
            wait,
        ));
    }
    hub.uplink(&connection, EUI).await;
    for (integration, receiver, wait) in receivers {
        let waits = first_wait_s(&hub, integration).await;
        assert!(wait.contains(&waits), "{waits}: {}", receiver.url);
        assert_eq!(receiver.requests(), 1);
    }
}

/// Seconds that the integration's only delivery waits behind its first attempt.
async fn first_wait_s(hub: &Hub, integration: i64) -> i64 {
    let path = format!("integrations/{integration}/deliveries");
    let delivery = eventually("the first attempt is settled", async || {
        let mut found = hub.list(&path).await;
        (found[0]["state"] == "pending" && found[0]["attempt"] == 1).then(|| found.remove(0))
    })
    .await;
    let time = |value: &Value| {
        let text = value.as_str().unwrap_or_else(|| panic!("{delivery}"));
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    (time(&delivery["next_attempt_at"]) - time(&delivery["attempts"][0]["at"])).num_seconds()
}

async fn an_authorization_server_says_when_to_come_back(database: Database) {
    let (hub, connection) = hub(database, &["--delivery-schedule-s", "1,1"], None).await;
    let sink = Sink::willing().await;
    let later = "HTTP/1.1 503 Later\r\nretry-after: 120.5\r\ncontent-length: 0\r\n\r\n";
    let giver = Broken::start(Port::Plain, later, Close).await;
    let auth = json!({"type": "oauth2_client_credentials", "token_url": giver.url,
        "client_id": "hub", "client_secret": "s3cr3t"});
    let body = json!({"name": "erp", "selector": "",
        "target": {"type": "http", "url": sink.url, "auth": auth}});
    let made = hub.post("integrations", &body).await.created();
    hub.uplink(&connection, EUI).await;
    let waits = first_wait_s(&hub, made["id"].as_i64().unwrap()).await;
    assert!((120..=150).contains(&waits), "{waits}");
    assert_eq!((giver.requests(), sink.received().len()), (1, 0));
}

async fn a_network_server_says_when_to_come_back(database: Database) {
    let (hub, connection) = hub(database, &["--downlink-schedule-s", "1,1"], None).await;
    let later = "HTTP/1.1 503 Later\r\nretry-after: 120.5\r\ncontent-length: 0\r\n\r\n";
    let server = Broken::start(Port::Plain, later, Close).await;
    let settings = json!({"type": "http", "method": "POST", "url": server.url});
    hub.sends_downlinks(&connection, &settings).await;
    let body = json!({"payload_hex": "beef", "f_port": 15});
    let queued = hub.post("devices/d/downlinks", &body).await.created();
    let path = format!("devices/d/downlinks/{}", queued["id"].as_str().unwrap());
    let waiting = eventually("the first attempt is settled", async || {
        let found = hub.get(&path).await.ok();
        (found["state"] == "queued" && found["last_status"] == 503).then_some(found)
    })
    .await;
    let time = |name: &str| {
        let text = waiting[name]
            .as_str()
            .unwrap_or_else(|| panic!("{waiting}"));
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    let waits = (time("next_attempt_at") - time("created_at")).num_seconds();
    assert!((120..=150).contains(&waits), "{waiting}");
    assert_eq!(server.requests(), 1);
}

async fn a_redirect_leads_nowhere(database: Database) {
    let (hub, connection) = hub(database, &["--delivery-schedule-s", "0"], None).await;
    let other = Sink::willing().await;
    // The same receiver at a forbidden address, and at an allowed one.
    let mut redirects = Vec::new();
    for (status, host) in [(307, "127.0.0.2"), (308, "127.0.0.1"), (302, "127.0.0.1")] {
        let location = other.url.replace("127.0.0.1", host);
        let sink = Sink::start(&[], Cue::Redirect(status, location.leak())).await;
        let name = format!("{status} to {host}");
        redirects.push((hub.integration(&name, "", &sink.url).await, status, sink));
    }
    hub.uplink(&connection, EUI).await;
    for (integration, status, sink) in redirects {
        let dead = settled(&hub, integration).await;
        assert_eq!(
            (&dead["state"], &dead["last_status"]),
            (&json!("dead"), &json!(status))
        );
        says(&dead, "redirect", "redirect");
        assert_eq!(sink.received().len(), 2);
    }
    assert!(other.received().is_empty());
}
