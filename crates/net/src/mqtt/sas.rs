//! Shared access signatures, which Azure IoT Hub requires as a device's password.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::form_urlencoded;

/// Creates a token for the resource (`<hub>/devices/<device>`), valid until `expires` in seconds of Unix
/// time. `None` if `key` is not base64. `policy` names a key of the hub; a device's own key has none.
pub fn token(resource: &str, key: &str, policy: Option<&str>, expires: i64) -> Option<String> {
    let resource = encoded(resource);
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(key).ok()?).ok()?;
    mac.update(format!("{resource}\n{expires}").as_bytes());
    let signature = encoded(&STANDARD.encode(mac.finalize().into_bytes()));
    let mut token = format!("SharedAccessSignature sr={resource}&sig={signature}&se={expires}");
    if let Some(policy) = policy {
        token += "&skn=";
        token += &encoded(policy);
    }
    Some(token)
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_form_that_microsoft_documents() {
        // The signature is that of OpenSSL over "myhub.azure-devices.net%2Fdevices%2Fdevice1\n1700000000".
        assert_eq!(
            token(
                "myhub.azure-devices.net/devices/device1",
                "c2VjcmV0LWtleS0wMTIzNDU2Nzg5",
                None,
                1_700_000_000
            )
            .unwrap(),
            "SharedAccessSignature sr=myhub.azure-devices.net%2Fdevices%2Fdevice1\
             &sig=icjNFuxHy%2Bb32q4ot3L1V6A2YYT5L7%2BYE41jghRoayY%3D&se=1700000000"
        );
        let of_policy = token("h/devices/d", "c2VjcmV0", Some("device"), 1).unwrap();
        assert!(of_policy.ends_with("&se=1&skn=device"), "{of_policy}");
        assert_eq!(token("h", "no base64!", None, 1), None);
    }
}
