//! Storage with the requests of S3 that exports need. It checks the signature of each, by the rules of AWS Signature
//! Version 4 for signed URLs, and can misbehave.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use hmac::{Hmac, KeyInit, Mac};
use poem::{Request, Response, http::StatusCode};
use sha2::{Digest, Sha256};

use crate::support::http_server::HttpServer;

pub const BUCKET: &str = "nordlicht";
pub const REGION: &str = "eu-central-1";
pub const KEY_ID: &str = "EXAMPLEKEYID";
pub const SECRET: &str = "EXAMPLE/secret+key";

/// A server; gone with its handle.
pub struct S3Server {
    pub url: String,
    pub storage: Arc<Storage>,
    _server: HttpServer,
}

#[derive(Default)]
pub struct Storage {
    /// Objects by their keys.
    pub objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Parts of uploads that are not complete, by their ids.
    pub uploads: Mutex<BTreeMap<String, BTreeMap<u16, Vec<u8>>>>,
    /// Number of parts that are still taken; the others are refused.
    pub refuses_from: Mutex<Option<u16>>,
    /// Number of requests with a wrong signature.
    pub unsigned: AtomicUsize,
    uploads_begun: AtomicUsize,
}

impl S3Server {
    pub async fn start() -> Self {
        let storage = Arc::new(Storage::default());
        let book = storage.clone();
        let server = HttpServer::start(move |request| answer(book.clone(), request)).await;
        Self {
            url: server.url.clone(),
            storage,
            _server: server,
        }
    }
}

async fn answer(storage: Arc<Storage>, mut request: Request) -> poem::Result<Response> {
    let body = request.take_body().into_vec().await?;
    if !is_signed(&request) {
        storage.unsigned.fetch_add(1, Ordering::Relaxed);
        return Ok(error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch"));
    }
    let path = request.uri().path().to_owned();
    let Some(key) = path.strip_prefix(&format!("/{BUCKET}/")) else {
        return Ok(error(StatusCode::NOT_FOUND, "NoSuchBucket"));
    };
    let key = unescaped(key);
    let query = query(&request);
    let upload = query.get("uploadId").cloned();
    let mut objects = storage.objects.lock().unwrap();
    let mut uploads = storage.uploads.lock().unwrap();
    let answer = Response::builder();
    Ok(match (request.method().as_str(), upload) {
        ("HEAD", None) => match objects.get(&key) {
            Some(content) => answer.header("Content-Length", content.len()).finish(),
            None => answer.status(StatusCode::NOT_FOUND).finish(),
        },
        ("PUT", None) => {
            objects.insert(key, body);
            answer.header("ETag", "\"whole\"").finish()
        }
        ("DELETE", None) => {
            objects.remove(&key);
            answer.status(StatusCode::NO_CONTENT).finish()
        }
        ("POST", None) if query.contains_key("uploads") => {
            let number = storage.uploads_begun.fetch_add(1, Ordering::Relaxed);
            let id = format!("upload-{number}");
            uploads.insert(id.clone(), BTreeMap::new());
            answer.body(format!(
                "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <Bucket>{BUCKET}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>"
            ))
        }
        ("PUT", Some(id)) => {
            let number: u16 = query["partNumber"].parse().unwrap();
            let refuses_from = *storage.refuses_from.lock().unwrap();
            if refuses_from.is_some_and(|from| number >= from) {
                return Ok(error(StatusCode::INSUFFICIENT_STORAGE, "XMinioStorageFull"));
            }
            uploads.get_mut(&id).unwrap().insert(number, body);
            answer.header("ETag", format!("\"part-{number}\"")).finish()
        }
        ("POST", Some(id)) => {
            let parts = uploads.remove(&id).unwrap();
            let text = String::from_utf8(body).unwrap();
            for number in parts.keys() {
                assert!(text.contains(&format!("part-{number}")), "{text}");
            }
            // All parts but the last have at least 5 MiB.
            let sizes: Vec<usize> = parts.values().map(Vec::len).collect();
            assert!(
                sizes
                    .iter()
                    .rev()
                    .skip(1)
                    .all(|size| *size >= 5 * 1024 * 1024),
                "{sizes:?}"
            );
            objects.insert(key.clone(), parts.into_values().flatten().collect());
            answer.body(format!(
                "<CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <Location>here</Location><Bucket>{BUCKET}</Bucket><Key>{key}</Key>\
                 <ETag>\"all\"</ETag></CompleteMultipartUploadResult>"
            ))
        }
        ("DELETE", Some(id)) => {
            uploads.remove(&id);
            answer.status(StatusCode::NO_CONTENT).finish()
        }
        (method, _) => panic!("{method} {path}"),
    })
}

fn error(status: StatusCode, code: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>A test says so.</Message></Error>");
    Response::builder().status(status).body(body)
}

fn query(request: &Request) -> BTreeMap<String, String> {
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn unescaped(text: &str) -> String {
    let pair = format!("k={}", text.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes()).into_owned();
    pairs.next().unwrap().1
}

/// Returns a text as a canonical request has it.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn signed(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn is_signed(request: &Request) -> bool {
    let mut query = query(request);
    let Some(signature) = query.remove("X-Amz-Signature") else {
        return false;
    };
    let canonical_query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    let host = request.headers()["host"].to_str().unwrap();
    let canonical = format!(
        "{}\n{}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
        request.method(),
        request.uri().path(),
        canonical_query.join("&"),
    );
    let at = &query["X-Amz-Date"];
    let place = format!("{}/{REGION}/s3/aws4_request", &at[..8]);
    if query["X-Amz-Credential"] != format!("{KEY_ID}/{place}") {
        return false;
    }
    let digest = hex::encode(Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{place}\n{digest}");
    let key = signed(format!("AWS4{SECRET}").as_bytes(), &at[..8]);
    let key = [REGION, "s3", "aws4_request"]
        .into_iter()
        .fold(key, |key, part| signed(&key, part));
    hex::encode(signed(&key, &text)) == signature
}
