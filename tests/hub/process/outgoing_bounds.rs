//! Effects of one tenant's addresses and names on this machine and on other tenants.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

use crate::{
    eventually,
    support::{
        apart::{add_address, apart, replace},
        database::Database,
        server::{Hub, PASSWORD, things_stack},
        sink::Sink,
    },
};

/// Public addresses that are nobody's here.
const OURS: &str = "93.184.216.34";
const OURS_LATER: &str = "93.184.216.35";

/// A server on this address that takes every request.
async fn willing(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => asked.push(byte),
                    Err(_) => break,
                }
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            // Until the hub has read it.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    port
}

/// The path of a new integration with this URL.
async fn integration(hub: &Hub, name: &str, url: &str) -> String {
    format!("integrations/{}", hub.integration(name, "", url).await)
}

async fn try_out(hub: &Hub, path: &str) -> Value {
    hub.post(&format!("{path}/test"), &json!({})).await.ok()
}

#[test]
fn public_addresses_of_this_machine_are_not_reached() {
    apart(async || {
        add_address(&format!("{OURS}/32"));
        replace("/etc/hosts", &format!("{OURS} us.example\n"));
        let port = willing(OURS).await;
        let hub = Hub::start(Database::Sqlite).await;
        for host in [OURS, "[::ffff:93.184.216.34]"] {
            let target = json!({"type": "http", "url": format!("http://{host}:{port}/")});
            let body = json!({"name": "address", "selector": "", "target": target});
            let error = hub.post("integrations", &body).await.refused(400);
            assert!(error.contains("is this machine's own"), "{host}: {error}");
            assert!(error.contains("outgoing_allow"), "{host}: {error}");
        }
        let path = integration(&hub, "name", &format!("http://us.example:{port}/")).await;
        let tested = try_out(&hub, &path).await;
        let error = tested["error"].as_str().unwrap_or_default();
        assert!(error.contains("is this machine's own"), "{tested}");
        assert!(error.contains("outgoing_allow"), "{tested}");
        // An address that is added while the hub runs.
        let url = format!("http://{OURS_LATER}:{port}/");
        let path = integration(&hub, "later", &url).await;
        let tested = try_out(&hub, &path).await;
        let error = tested["error"].as_str().unwrap();
        assert!(error.contains("no connection"), "{tested}");
        add_address(&format!("{OURS_LATER}/32"));
        eventually("the new address is known", async || {
            let tested = try_out(&hub, &path).await;
            let error = tested["error"].as_str().unwrap_or_default();
            error.contains("is this machine's own").then_some(())
        })
        .await;

        let hub = Hub::start_with(Database::Sqlite, &["--outgoing-allow", OURS]).await;
        let path = integration(&hub, "ours", &format!("http://{OURS}:{port}/")).await;
        let tested = try_out(&hub, &path).await;
        assert_eq!(tested["is_delivered"], true, "{tested}");
    });
}

/// More names than there are threads in the runtime are looked up at once, and each takes minutes.
#[test]
fn names_that_nobody_answers_for_keep_nobody_else_waiting() {
    const INTEGRATIONS: usize = 24;
    const UPLINKS: usize = 40;
    apart(async || {
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).await.unwrap();
        replace(
            "/etc/resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n",
        );
        replace("/etc/hosts", "127.0.0.1 localhost here.example\n");
        let flags = [
            "--delivery-concurrency",
            "100",
            "--outgoing-allow",
            "127.0.0.1",
        ];
        let mut hub = Hub::start_with(Database::Sqlite, &flags).await;
        hub.tenant("victim").await;
        let connection = hub.connect("tts").await;
        let eui = |number: usize| format!("AA000000000000{number:02X}");
        for number in 0..UPLINKS {
            let id = format!("d{number}");
            hub.device(&id, &connection, &eui(number), json!({})).await;
        }
        let mut paths = Vec::new();
        for number in 0..INTEGRATIONS {
            let name = format!("i{number}");
            let url = format!("http://{name}.example/");
            paths.push(integration(&hub, &name, &url).await);
        }
        let uplinks =
            (0..UPLINKS).map(|number| hub.ingest(&connection, things_stack(&eui(number))));
        for receipt in join_all(uplinks).await {
            receipt.ok();
        }
        for path in &paths {
            eventually("a name is not found", async || {
                let deliveries = hub.get(&format!("{path}/deliveries")).await.ok();
                let is_tried = |item: &Value| !item["last_error"].is_null();
                let items = deliveries["collection"].as_array().unwrap().clone();
                items.iter().any(is_tried).then_some(())
            })
            .await;
        }

        // Work that needs a thread goes on: passwords, names, and imports.
        hub.log_in("admin", PASSWORD).await;
        hub.token = hub.log_in("victim", PASSWORD).await;
        let sink = Sink::willing().await;
        let url = sink.url.replace("127.0.0.1", "here.example");
        let path = integration(&hub, "mine", &url).await;
        let tested = try_out(&hub, &path).await;
        assert_eq!(tested["is_delivered"], true, "{tested}");
        let import = hub
            .request(reqwest::Method::POST, "devices/import")
            .bearer_auth(&hub.token)
            .header("Content-Type", "text/csv")
            .body("id\nmine");
        hub.answer(import).await.created();
        drop(silent);
    });
}

/// Answers the questions for addresses of names in turn with one of two addresses, as somebody does who wants a
/// check to see another address than the connection.
async fn answer_in_turn(socket: UdpSocket, addresses: [Ipv4Addr; 2]) {
    let (mut question, mut number) = ([0; 512], 0);
    while let Ok((length, from)) = socket.recv_from(&mut question).await {
        let question = &question[..length];
        let Some(end) = question[12..].iter().position(|byte| *byte == 0) else {
            continue;
        };
        let end = 12 + end + 5;
        let is_of_ipv4 = question[end - 4..end - 2] == [0, 1];
        // Its id, and the flags of an answer.
        let mut answer = [
            &question[..2],
            &[0x81, 0x80, 0, 1, 0, u8::from(is_of_ipv4), 0, 0, 0, 0],
        ]
        .concat();
        answer.extend_from_slice(&question[12..end]);
        if is_of_ipv4 {
            // The name of the question, an address, for no time.
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            answer.extend_from_slice(&addresses[number % 2].octets());
            number += 1;
        }
        let _ = socket.send_to(&answer, from).await;
    }
}

/// The address that was checked is the one that is connected to, whatever the name means a moment later.
#[test]
fn a_name_that_changes_its_address_leads_nowhere_else() {
    const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    apart(async || {
        let names = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).await.unwrap();
        tokio::spawn(answer_in_turn(names, [Ipv4Addr::LOCALHOST, FORBIDDEN]));
        replace("/etc/resolv.conf", "nameserver 127.0.0.1\n");
        replace("/etc/hosts", "127.0.0.1 localhost\n");
        let port = willing("127.0.0.1").await;
        let inside = TcpListener::bind((FORBIDDEN, port)).await.unwrap();
        let reached = Arc::new(AtomicUsize::new(0));
        let counted = reached.clone();
        tokio::spawn(async move {
            while inside.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let hub = Hub::start_with(Database::Sqlite, &["--outgoing-allow", "127.0.0.1"]).await;
        let path = integration(&hub, "name", &format!("http://turns.example:{port}/")).await;
        // Each look-up gets the other address: one is allowed and the next one refused.
        let mut outcomes = Vec::new();
        for is_expected in [true, false, true] {
            let tested = eventually("the name means the other address", async || {
                let tested = try_out(&hub, &path).await;
                (tested["is_delivered"] == is_expected).then_some(tested)
            })
            .await;
            outcomes.push(tested);
        }
        let error = outcomes[1]["error"].as_str().unwrap();
        assert!(error.contains("outgoing_allow"), "{error}");
        assert_eq!(reached.load(Ordering::Relaxed), 0);
    });
}
