//! The scenario, with the client that progenitor generates.

use std::{env, error::Error as StdError, fmt::Debug};

use hub::{Client, Error, ResponseValue, types};
use reqwest::{Certificate, header};

mod hub {
    progenitor::generate_api!(spec = "../../../openapi/openapi.json", interface = Builder);
}

type Outcome<T> = Result<T, Box<dyn StdError>>;

const SCRIPT: &str = "function decode(payload, port) { return {first: payload[0]}; }";
const LABEL: &str = "client=rust";
/// Of the users that are made.
const PASSWORD: &str = "two horses and a battery";

/// All items of a list, a page of one at a time.
macro_rules! list_all {
    ($client:expr, $operation:ident) => {{
        let mut items = Vec::new();
        let mut request = $client.$operation().limit(1_u64);
        loop {
            let page = request.send().await?.into_inner();
            must(
                page.collection.len() <= 1,
                "a page of one has at most one item",
            )?;
            items.extend(page.collection);
            let Some(cursor) = page.next_cursor else {
                break;
            };
            request = $client.$operation().limit(1_u64).cursor(cursor);
        }
        items
    }};
}

/// That what is listed is what was made.
fn must_be_all<T: PartialEq + Debug>(what: &str, found: &[T], made: &[T]) -> Outcome<()> {
    must(
        found == made,
        &format!("{what}: made {made:?}, but found {found:?}"),
    )?;
    println!("  {what}: {found:?}");
    Ok(())
}

fn must(condition: bool, what: &str) -> Outcome<()> {
    if condition { Ok(()) } else { Err(what.into()) }
}

/// The error must be the typed object, and say the same as the status.
fn refused<T: Debug>(
    what: &str,
    status: u16,
    result: Result<ResponseValue<T>, Error<types::Error>>,
    text: &str,
) -> Outcome<()> {
    let response = match result {
        Err(Error::ErrorResponse(response)) => response,
        other => return Err(format!("{what}: {other:?} is no error object").into()),
    };
    let (error, code) = (&*response.error, response.code);
    let is_same = response.status().as_u16() == status && code == i32::from(status);
    must(
        is_same,
        &format!("{what}: {} with the code {code}", response.status()),
    )?;
    must(
        error.contains(text),
        &format!("{what}: {error:?} does not say {text:?}"),
    )?;
    println!("  {what}: {code} {error}");
    Ok(())
}

/// A client that trusts the hub's own certificate, and no other.
fn client(token: Option<&str>) -> Outcome<Client> {
    let certificate = Certificate::from_pem(&std::fs::read(env::var("HUB_CERTIFICATE")?)?)?;
    let mut headers = header::HeaderMap::new();
    if let Some(token) = token {
        headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    let inner = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .default_headers(headers)
        .build()?;
    Ok(Client::new_with_client(&env::var("HUB_URL")?, inner))
}

fn credentials(username: &str, password: &str) -> Outcome<types::Credentials> {
    Ok(types::Credentials::builder()
        .username(username)
        .password(password)
        .try_into()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "there is a TLS provider already")?;
    let password = env::var("HUB_PASSWORD")?;

    let anonymous = client(None)?;
    let wrong = anonymous
        .create_token()
        .body(credentials("admin", "wrong")?)
        .send()
        .await;
    refused("a wrong password", 400, wrong, "invalid credentials")?;
    let session = anonymous
        .create_token()
        .body(credentials("admin", &password)?)
        .send()
        .await?;
    let api = client(Some(&session.token))?;
    let user = api.get_token().send().await?.into_inner().user;
    must(
        user.username == "admin",
        "the session is the administrator's",
    )?;

    // Every kind of resource, in an order in which each finds what it refers to.
    let (mut connections, mut drivers, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tables, mut integrations) = (Vec::new(), Vec::new());
    // The administrator and the tenant are there from the start.
    let (mut users, mut keys, mut tenants) = (vec![user.id], Vec::new(), Vec::new());
    tenants.extend(list_all!(api, list_tenants).iter().map(|item| item.id));
    for number in 1..=2 {
        let settings = types::NetworkSettingsTheThingsStack::builder()
            .type_(types::NetworkSettingsTheThingsStackType::TheThingsStack);
        let settings: types::NetworkSettingsTheThingsStack = settings.try_into()?;
        let request = api
            .create_network_connection()
            .body_map(|body| body.name(format!("rust {number}")).settings(settings));
        connections.push(request.send().await?.id);

        let tag: types::DriverInputTagsItem = "1".parse()?;
        let request = api.create_driver().body_map(|body| {
            body.author("rust")
                .name(format!("driver-{number}"))
                .tags(vec![tag])
                .script(SCRIPT)
        });
        let driver = request.send().await?.into_inner();
        drivers.push((driver.author, driver.name));

        let address: types::DeviceConnection = types::DeviceConnection::builder()
            .network_connection_id(connections[0])
            .network_device_id(format!("100000000000000{number}"))
            .try_into()?;
        let id: types::DeviceInputId = format!("rust-{number}").parse()?;
        let driver: types::DeviceInputDriver = format!("rust/driver-{number}:1").parse()?;
        let labels: Vec<types::DeviceInputLabelsItem> = vec![LABEL.parse()?];
        let connectivity = types::Connectivity {
            connections: vec![address],
        };
        let request = api.create_device().body_map(|body| {
            body.id(id)
                .driver(driver)
                .labels(labels)
                .connectivity(connectivity)
        });
        devices.push(request.send().await?.into_inner().id);

        let column: types::Column = types::Column::builder()
            .path("first")
            .type_(types::ColumnType::Number)
            .try_into()?;
        let request = api.create_data_table().body_map(|body| {
            body.name(format!("rust {number}"))
                .selector(LABEL)
                .columns(vec![column])
        });
        tables.push(request.send().await?.id);

        let authorization: types::IntegrationTargetHttpTargetAuthorization =
            "Bearer secret".parse()?;
        let target: types::IntegrationTargetHttpTarget =
            types::IntegrationTargetHttpTarget::builder()
                .type_(types::IntegrationTargetHttpTargetType::Http)
                .url("https://hooks.example.com/sink")
                .authorization(authorization)
                .try_into()?;
        let request = api.create_integration().body_map(|body| {
            body.name(format!("rust {number}"))
                .selector(LABEL)
                .enabled(false)
                .target(types::IntegrationTarget::HttpTarget(target))
        });
        integrations.push(request.send().await?.id);

        let request = api.create_user().body_map(|body| {
            body.username(format!("rust-viewer-{number}"))
                .password(PASSWORD)
                .role(types::Role::Viewer)
        });
        users.push(request.send().await?.id);

        let request = api.create_api_key().body_map(|body| {
            body.name(format!("rust {number}"))
                .scopes(vec![types::KeyScope::DevicesRead])
        });
        keys.push(request.send().await?.id);

        let administrator: types::Administrator = types::Administrator::builder()
            .username(format!("rust-admin-{number}"))
            .password(PASSWORD)
            .try_into()?;
        let request = api.create_tenant().body_map(|body| {
            body.name(format!("rust {number}"))
                .administrator(administrator)
        });
        tenants.push(request.send().await?.id);
    }

    let found: Vec<_> = list_all!(api, list_network_connections)
        .iter()
        .map(|item| item.id)
        .collect();
    must_be_all("network connections", &found, &connections)?;
    let found: Vec<_> = list_all!(api, list_drivers)
        .into_iter()
        .map(|item| (item.author, item.name))
        // The hub's own.
        .filter(|(author, _)| author != "thingshub")
        .collect();
    must_be_all("drivers", &found, &drivers)?;
    let found: Vec<_> = list_all!(api, list_devices)
        .into_iter()
        .map(|item| item.id)
        .collect();
    must_be_all("devices", &found, &devices)?;
    let found: Vec<_> = list_all!(api, list_data_tables)
        .iter()
        .map(|item| item.id)
        .collect();
    must_be_all("data tables", &found, &tables)?;
    let found: Vec<_> = list_all!(api, list_integrations)
        .iter()
        .map(|item| item.id)
        .collect();
    must_be_all("integrations", &found, &integrations)?;
    let found: Vec<_> = list_all!(api, list_users)
        .iter()
        .map(|item| item.id)
        .collect();
    must_be_all("users", &found, &users)?;
    let found: Vec<_> = list_all!(api, list_api_keys)
        .iter()
        .map(|item| item.id)
        .collect();
    must_be_all("API keys", &found, &keys)?;
    let found: Vec<_> = list_all!(api, list_tenants)
        .iter()
        .map(|item| item.id)
        .collect();
    must_be_all("tenants", &found, &tenants)?;

    // A request that does not fit the document cannot even be built, so only the hub can find this fault.
    let unknown: types::DeviceInputDriver = "rust/none:1".parse()?;
    let request = api.create_device().body_map(|body| body.driver(unknown));
    refused("no such driver", 400, request.send().await, "driver: ")?;
    let stranger = client(Some("none"))?;
    refused(
        "no such token",
        401,
        stranger.get_token().send().await,
        "a valid token is required",
    )?;
    refused(
        "no such device",
        404,
        api.get_device().id("none").send().await,
        "there is no device",
    )?;
    let login = credentials("rust-viewer-1", PASSWORD)?;
    let session = anonymous.create_token().body(login).send().await?;
    let viewer = client(Some(&session.token))?;
    let result = viewer.create_device().send().await;
    refused("a viewer who creates", 403, result, "may only read")?;

    for id in tenants.into_iter().skip(1) {
        api.delete_tenant().id(id).send().await?;
        refused(
            "tenant, deleted",
            404,
            api.get_tenant().id(id).send().await,
            "there is no ",
        )?;
    }
    for id in keys {
        api.delete_api_key().id(id).send().await?;
        refused(
            "API key, deleted",
            404,
            api.get_api_key().id(id).send().await,
            "there is no ",
        )?;
    }
    for id in users.into_iter().skip(1) {
        api.delete_user().id(id).send().await?;
        refused(
            "user, deleted",
            404,
            api.get_user().id(id).send().await,
            "there is no ",
        )?;
    }

    for id in integrations {
        api.delete_integration().id(id).send().await?;
        refused(
            "integration, deleted",
            404,
            api.get_integration().id(id).send().await,
            "there is no ",
        )?;
    }
    for id in tables {
        api.delete_data_table().id(id).send().await?;
        refused(
            "data table, deleted",
            404,
            api.get_data_table().id(id).send().await,
            "there is no ",
        )?;
    }
    for id in devices {
        api.delete_device().id(id.as_str()).send().await?;
        refused(
            "device, deleted",
            404,
            api.get_device().id(id.as_str()).send().await,
            "there is no ",
        )?;
    }
    for (author, name) in drivers {
        api.delete_driver()
            .author(author.as_str())
            .name(name.as_str())
            .send()
            .await?;
        let result = api
            .get_driver()
            .author(author.as_str())
            .name(name.as_str())
            .send()
            .await;
        refused("driver, deleted", 404, result, "there is no ")?;
    }
    for id in connections {
        api.delete_network_connection().id(id).send().await?;
        let result = api.get_network_connection().id(id).send().await;
        refused("network connection, deleted", 404, result, "there is no ")?;
    }
    must(list_all!(api, list_devices).is_empty(), "devices are left")?;
    api.delete_token().send().await?;
    refused(
        "an ended session",
        401,
        api.get_token().send().await,
        "a valid token is required",
    )
}
