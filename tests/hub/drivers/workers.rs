//! Driver workers of a running hub: the program that they are started from, what they inherit, and what
//! becomes of uplinks while none can be started.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path};

use futures_util::{StreamExt, stream};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    eventually,
    support::{
        database::Database,
        server::{Connection, Hub, PROGRAM, program_path, things_stack},
    },
};

const EUI: &str = "AA00000000000001";

/// The driver workers of a hub.
fn workers(hub: &Hub) -> Vec<Pid> {
    let parent = format!("PPid:\t{}", hub.pid());
    let is_worker = |process: &Path| {
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let command = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        status.lines().any(|line| line == parent) && command.contains("__driver-worker")
    };
    let processes = std::fs::read_dir("/proc").expect("Linux");
    processes
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            is_worker(&entry.path()).then(|| Pid::from_raw(pid))
        })
        .collect()
}

/// Kills the workers of a hub, and waits until they are gone.
async fn kill_workers(hub: &Hub) {
    let killed = workers(hub);
    assert!(!killed.is_empty(), "there are workers");
    for worker in &killed {
        kill(*worker, Signal::SIGKILL).unwrap();
    }
    eventually("the workers are gone", async || {
        let left = workers(hub);
        (!left.iter().any(|worker| killed.contains(worker))).then_some(())
    })
    .await;
}

/// A hub of this program, with a device whose driver returns the first byte.
async fn hub(program: &Path) -> (Hub, Connection) {
    let environment = [(PROGRAM, program.to_str().unwrap())];
    let hub = Hub::start_in(Database::Sqlite, &[], &environment).await;
    let connection = hub.connect("tts").await;
    hub.push("a/b", "1", "function decode(p) { return { n: p[0] } }")
        .await;
    hub.device("d", &connection, EUI, json!({"driver": "a/b:1"}))
        .await;
    (hub, connection)
}

async fn newest_uplink(hub: &Hub) -> Value {
    let page = hub.get("devices/d/uplinks?limit=1").await.ok();
    page["collection"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_replaced_goes_on_in_its_workers() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("thingshub");
    std::fs::copy(program_path(), &program).unwrap();
    let (hub, connection) = hub(&program).await;
    hub.uplink(&connection, EUI).await;
    assert_eq!(newest_uplink(&hub).await["data"], json!({"n": 1}));

    // Replaces the program as a package manager does: by another file with the same name.
    let next = folder.path().join("thingshub.new");
    std::fs::write(&next, "no program at all").unwrap();
    std::fs::set_permissions(&next, Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&next, &program).unwrap();
    kill_workers(&hub).await;
    hub.uplink(&connection, EUI).await;
    let uplink = newest_uplink(&hub).await;
    assert_eq!(uplink["data"], json!({"n": 1}), "{uplink}");
    let ready = hub.get("/readyz").await.ok();
    assert_eq!(ready, json!({"status": "ok", "problems": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_workers_uplinks_are_recorded_and_the_hub_says_so() {
    const UPLINKS: usize = 600;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("thingshub");
    std::fs::copy(program_path(), &program).unwrap();
    let (mut hub, connection) = hub(&program).await;
    hub.may_complain = true;
    hub.uplink(&connection, EUI).await;

    // The program's file is no longer executable.
    std::fs::set_permissions(&program, Permissions::from_mode(0o644)).unwrap();
    kill_workers(&hub).await;
    let answers: Vec<_> = stream::iter(0..UPLINKS)
        .map(|_| hub.ingest(&connection, things_stack(EUI)))
        .buffer_unordered(64)
        .collect()
        .await;
    for answer in answers {
        assert_eq!(answer.ok()["status"], "recorded");
    }
    let uplink = newest_uplink(&hub).await;
    assert_eq!(uplink["error"]["kind"], "unavailable", "{uplink}");
    let list = hub.get("devices/d/uplinks?limit=1&total=true").await.ok();
    assert_eq!(list["total"], UPLINKS + 1, "{list}");
    let ready = hub.get("/readyz").await.ok();
    assert_eq!(ready["status"], "degraded");
    let problem = ready["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("no driver worker can be started"),
        "{problem}"
    );
    assert!(hub.log().contains("no driver worker can be started"));
    // A failure that is none of the driver's must not replace stored data.
    let redecoded = hub
        .post("devices/d/redecode?dry_run=false", &json!({}))
        .await;
    redecoded.refused(503);
    let pushed = json!({"author": "a", "name": "c", "tags": ["1"],
        "script": "function decode() { return {} }"});
    hub.post("drivers", &pushed).await.refused(503);

    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    eventually("workers start again", async || {
        let ready = hub.get("/readyz").await.ok();
        (ready["status"] == "ok").then_some(())
    })
    .await;
    hub.uplink(&connection, EUI).await;
    assert_eq!(newest_uplink(&hub).await["data"], json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_has_inherited_ends_with_its_workers() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "not for drivers").unwrap();
    let starter = folder.path().join("start");
    let script = format!(
        "#!/bin/sh\nexec 3<{secret} 4<{secret} 9<{secret}\nexec {program} \"$@\"\n",
        secret = secret.display(),
        program = program_path().display(),
    );
    std::fs::write(&starter, script).unwrap();
    std::fs::set_permissions(&starter, Permissions::from_mode(0o755)).unwrap();
    let (hub, connection) = hub(&starter).await;
    hub.uplink(&connection, EUI).await;
    let open = |process: i32| -> Vec<String> {
        let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
        files
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .map(|target| target.to_string_lossy().into_owned())
            .collect()
    };
    let secret = secret.to_str().unwrap();
    let inherited = open(hub.pid());
    assert!(inherited.iter().any(|file| file == secret), "{inherited:?}");
    let workers = workers(&hub);
    assert!(!workers.is_empty());
    for worker in workers {
        let open = open(worker.as_raw());
        assert!(!open.iter().any(|file| file == secret), "{open:?}");
        assert_eq!(open.len(), 4, "{open:?}");
    }
}
