//! Downlinks to any server with an HTTP API: URL and body are templates.

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::{
    networks::{
        downlink::{DownlinkNetwork, Handover, OutgoingDownlink, URL},
        template::{self, Place},
    },
    outgoing::{Request, TlsSettings},
    secret::{Address, Credentials},
};

/// Settings of the request. The secret is `authorization`, the value of that header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downlinks {
    /// Method of the request.
    pub method: HttpMethod,
    /// URL; a template.
    pub url: String,
    /// Body; a template. `None` sends no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// `Content-Type` of the body; `application/json` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// TLS settings, if they differ from the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// HTTP method that allows a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpMethod {
    /// POST
    #[serde(rename = "POST")]
    Post,
    /// PUT
    #[serde(rename = "PUT")]
    Put,
}

impl Downlinks {
    /// Name of the secret.
    pub const SECRET: &str = "authorization";
}

impl DownlinkNetwork for Downlinks {
    /// Checks that the templates contain only known placeholders. The error names the field and the rule.
    fn check(&self) -> Result<(), String> {
        template::check_url("url", &self.url)?;
        match &self.body {
            Some(body) => template::check("body", body),
            None => Ok(()),
        }
    }

    fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref()
    }

    fn url(&self) -> &str {
        &self.url
    }

    fn check_payload(&self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// Fills in the templates and returns the request. Values are escaped for the URL or for JSON.
    fn handover(
        &self,
        secrets: &Credentials,
        downlink: &OutgoingDownlink,
    ) -> Result<Handover, String> {
        // Checked again because the settings may have been stored before this rule existed.
        let url = template::fill_in_url(&self.url, downlink)?;
        let body = match &self.body {
            Some(body) => template::fill_in(body, downlink, Place::Json)?,
            None => String::new(),
        };
        let content_type = self.content_type.as_deref().unwrap_or("application/json");
        let method = match self.method {
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        let mut request = Request {
            method,
            url,
            headers: Vec::new(),
            body,
        };
        if self.body.is_some() {
            request = request.with("Content-Type", content_type);
        }
        if let Some(authorization) = secrets.get(Self::SECRET) {
            request = request.with("Authorization", authorization);
        }
        Ok(Handover::Call(request))
    }

    fn probe(&self, _: &Credentials, _: Option<&str>) -> Result<Request, String> {
        self.check()?;
        Err(
            "the type http has no request that tests the credentials without sending a downlink"
                .to_owned(),
        )
    }

    fn secret_address() -> Address {
        URL
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::networks::downlink::example_downlink;

    fn template(url: &str, body: &str) -> Downlinks {
        Downlinks {
            method: HttpMethod::Post,
            url: url.to_owned(),
            body: Some(body.to_owned()),
            content_type: None,
            tls: None,
        }
    }

    #[test]
    fn templates_are_filled_in() {
        let body = r#"{"payload_raw": "{{payload_base64}}", "port": {{ f_port }}, "confirmed": {{confirmed}}}"#;
        let template = template(
            "https://console.example.com/down/{{device}}?q={{priority}}",
            body,
        );
        assert_eq!(template.check(), Ok(()));
        let secrets = Credentials::default().with("authorization", "Basic x");
        let request = template
            .handover(&secrets, &example_downlink())
            .unwrap()
            .into_request();
        assert_eq!(
            request.url.as_str(),
            "https://console.example.com/down/dev%201?q=normal"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&request.body).unwrap(),
            json!({"payload_raw": "vu8=", "port": 15, "confirmed": true})
        );
        assert_eq!(
            request.headers,
            [
                ("Content-Type".to_owned(), "application/json".to_owned()),
                ("Authorization".to_owned(), "Basic x".to_owned())
            ]
        );
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = template("https://x/{{nonsense}}", "").check().unwrap_err();
        assert!(
            error.starts_with("url: the placeholder {{nonsense}} is unknown"),
            "{error}"
        );
        let unheard = OutgoingDownlink {
            names: Default::default(),
            ..example_downlink()
        };
        let filled =
            template("https://x/{{device}}", "").handover(&Credentials::default(), &unheard);
        assert!(filled.unwrap_err().contains("{{device}}"));
    }
}
