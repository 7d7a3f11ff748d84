//! `api`: sends one request to a hub, for scripts.

use std::io::{self, Read};

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    builder::{PossibleValuesParser, TypedValueParser},
};
use reqwest::{
    Method, RequestBuilder, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use super::{
    connection::{Connection, successful},
    exit::{EXIT_CODES, Failure},
    output,
    pages::print_all,
    target,
};

const API: &str = "api/v3/";

const EXAMPLES: &str = "\
Examples:
  thingshub api GET devices --query limit=10
  thingshub api POST devices --data '{\"id\": \"d1\"}'
  thingshub api PUT devices/d1 --data @device.json
  thingshub api GET devices --all | jq -r .id
  thingshub api GET /livez --include";

/// `thingshub api`.
pub fn command() -> Command {
    let methods = PossibleValuesParser::new(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
    Command::new("api")
        .about("Send one request to a hub and print the response")
        .long_about(
            "Send one request to a hub and print the body of the response: indented JSON at a terminal, \
             otherwise as received. Errors go to standard error. Uses the hub and the token of \
             `thingshub login` unless flags set others. The token of a login is only sent to the hub of \
             that login.",
        )
        .after_help(format!("{EXAMPLES}\n\n{EXIT_CODES}"))
        .arg(
            Arg::new("method")
                .value_name("METHOD")
                .required(true)
                .ignore_case(true)
                .value_parser(methods.map(|method| method.to_uppercase()))
                .help("HTTP method"),
        )
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required(true)
                .value_parser(path)
                .help("Path below /api/v3/, such as `devices`; a path that starts with a slash is used unchanged"),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .short('d')
                .value_name("DATA")
                .allow_hyphen_values(true)
                .help(
                    "Request body: the text itself, `@file`, or `-` for standard input; JSON unless a \
                     header sets another type",
                ),
        )
        .arg(
            Arg::new("query")
                .long("query")
                .short('q')
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .value_parser(query)
                .help("Query parameter, encoded as needed; can be repeated"),
        )
        .arg(
            Arg::new("header")
                .long("header")
                .short('H')
                .value_name("NAME: VALUE")
                .action(ArgAction::Append)
                .value_parser(header)
                .help("Request header; can be repeated"),
        )
        .arg(
            Arg::new("include")
                .long("include")
                .short('i')
                .action(ArgAction::SetTrue)
                .help("Print the status and headers of the response as well"),
        )
        .arg(
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["include", "data"])
                .help("Print the items of all pages of a list, one line of JSON per item"),
        )
        .args(target::arguments())
}

/// Sends the request that the command line describes.
pub async fn call(matches: &ArgMatches) -> Result<(), Failure> {
    let hub = target::connect(matches)?;
    let method = matches
        .get_one::<String>("method")
        .and_then(|name| Method::from_bytes(name.as_bytes()).ok())
        .ok_or_else(|| Failure::usage("METHOD must be an HTTP method"))?;
    let path = matches.get_one::<String>("path").map_or("", String::as_str);
    let queries: Vec<(String, String)> = all_of(matches, "query");
    let mut url = hub.url(path)?;
    if !queries.is_empty() {
        url.query_pairs_mut().extend_pairs(queries);
    }
    let body = matches.get_one::<String>("data").map(String::as_str);
    let body = body.map(read_body).transpose()?;
    let headers = headers(all_of(matches, "header"), hub.token(), body.is_some())?;
    if matches.get_flag("all") {
        if method != Method::GET {
            return Err(Failure::usage("--all requires the method GET"));
        }
        return print_all(&hub, url, &headers).await;
    }
    let is_head = method == Method::HEAD;
    let request = request(&hub, method, url, headers, body);
    let response = hub.send(request).await?;
    // The response to a HEAD request has no body.
    if matches.get_flag("include") || is_head {
        print_head(&response)?;
    }
    print_body(&hub, successful(response).await?).await
}

fn all_of<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches
        .get_many::<T>(name)
        .unwrap_or_default()
        .cloned()
        .collect()
}

fn request(
    hub: &Connection,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
) -> RequestBuilder {
    let request = hub.client().request(method, url).headers(headers);
    match body {
        Some(body) => request.body(body),
        None => request,
    }
}

/// Returns the headers of the command line, and the default ones that it does not set.
fn headers(
    given: Vec<(HeaderName, HeaderValue)>,
    token: Option<&str>,
    has_body: bool,
) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        headers.append(name, value);
    }
    if let Some(token) = token
        && !headers.contains_key(AUTHORIZATION)
    {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            Failure::usage("the token contains characters that a header cannot have")
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if has_body && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(headers)
}

fn read_body(data: &str) -> Result<Vec<u8>, Failure> {
    let read = match data.strip_prefix('@') {
        Some(file) => std::fs::read(file),
        None if data == "-" => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body).map(|_| body)
        }
        None => return Ok(data.as_bytes().to_vec()),
    };
    read.map_err(|error| Failure::usage(format!("--data {data}: {error}")))
}

fn print_head(response: &Response) -> Result<(), Failure> {
    let mut head = format!("{:?} {}\n", response.version(), response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.push(b'\n');
    }
    head.push(b'\n');
    output::bytes(&head)
}

async fn print_body(hub: &Connection, mut response: Response) -> Result<(), Failure> {
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json && output::is_terminal() {
        let body = response.bytes().await.map_err(|error| hub.broken(error))?;
        return match indented(&body) {
            Some(text) => output::line(&text),
            None => output::bytes(&body),
        };
    }
    // Copied in pieces, because an export may be larger than the memory.
    while let Some(piece) = response.chunk().await.map_err(|error| hub.broken(error))? {
        output::bytes(&piece)?;
    }
    Ok(())
}

fn indented(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

/// Returns the path on the server, with a slash at the start.
fn path(text: &str) -> Result<String, String> {
    if text.contains("://") && !text.starts_with('/') {
        return Err("must be a path; use --server to set the hub".to_owned());
    }
    if text.contains('#') {
        return Err("must not contain #; write %23".to_owned());
    }
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let below = text.strip_prefix(API).unwrap_or(text);
    Ok(format!("/{API}{below}"))
}

fn query(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must have the form NAME=VALUE".to_owned()),
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("must have the form NAME: VALUE")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| "the name is not a valid header name")?;
    let value =
        HeaderValue::from_str(value.trim()).map_err(|_| "the value is not a valid header value")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::credentials::{Flags, server};

    #[test]
    fn a_path_may_be_short() {
        for (given, whole) in [
            ("devices", "/api/v3/devices"),
            (
                "devices/a/uplinks?limit=1",
                "/api/v3/devices/a/uplinks?limit=1",
            ),
            ("api/v3/devices", "/api/v3/devices"),
            ("/api/v3/devices", "/api/v3/devices"),
            ("/livez", "/livez"),
            ("//other/x", "//other/x"),
        ] {
            assert_eq!(path(given).unwrap(), whole, "{given}");
        }
        for given in ["https://other/livez", "devices/#1"] {
            assert!(path(given).is_err(), "{given}");
        }
    }

    #[test]
    fn a_path_never_leaves_the_hub() {
        let target = Flags {
            server: Some(server("https://hub:8443").unwrap()),
            ..Flags::default()
        };
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let hub = Connection::new(target.with(None).unwrap()).unwrap();
        for given in [
            "//other/x",
            "/@other/x",
            "@other",
            ":1@other/",
            "/\\other",
            "../../..",
        ] {
            let url = hub.url(&path(given).unwrap()).unwrap();
            assert_eq!(url.host_str(), Some("hub"), "{given}: {url}");
            assert_eq!(url.port(), Some(8443), "{given}: {url}");
        }
    }

    #[test]
    fn what_is_said_replaces_what_goes_without_saying() {
        let given = [
            "authorization: Basic x",
            "content-type:text/csv",
            "X-A: 1",
            "x-a: 2",
        ];
        let given = given.map(|text| header(text).unwrap()).to_vec();
        let said = headers(given, Some("t"), true).unwrap();
        assert_eq!(said[AUTHORIZATION], "Basic x");
        assert_eq!(said[CONTENT_TYPE], "text/csv");
        assert_eq!(said.get_all("x-a").iter().count(), 2);
        let unsaid = headers(Vec::new(), Some("t"), true).unwrap();
        assert_eq!(unsaid[AUTHORIZATION], "Bearer t");
        assert_eq!(unsaid[CONTENT_TYPE], "application/json");
        assert!(headers(Vec::new(), None, false).unwrap().is_empty());
        assert!(headers(Vec::new(), Some("a\nb"), false).is_err());
    }

    #[test]
    fn queries_and_headers_have_a_name() {
        assert_eq!(query("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(query("a=").unwrap(), ("a".into(), String::new()));
        assert!(query("a").is_err() && query("=a").is_err());
        assert!(header("a").is_err() && header(": b").is_err() && header("a: b\nc").is_err());
    }
}
