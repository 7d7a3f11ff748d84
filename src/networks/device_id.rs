//! Ids of devices in their networks.

/// Checks that an id is a DevEUI, by which LoRaWAN network servers identify devices. The error is the
/// rule.
pub fn check_dev_eui(id: &str) -> Result<(), &'static str> {
    if is_eui(id) {
        return Ok(());
    }
    Err("must be a DevEUI of 16 hexadecimal digits for this type of network server")
}

/// True if this is an EUI without separators.
pub fn is_eui(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Normalises an id: a DevEUI becomes upper case without separators, because networks and users also
/// write it in lower case and with `-` or `:` between its bytes. Other ids are unchanged.
pub fn fold_network_device_id(id: &str) -> String {
    match without_separators(id) {
        Some(eui) => eui.to_ascii_uppercase(),
        None if is_eui(id) => id.to_ascii_uppercase(),
        None => id.to_owned(),
    }
}

/// Removes the separators from a DevEUI; `None` if this is not a DevEUI with separators.
fn without_separators(id: &str) -> Option<String> {
    const LENGTH: usize = 8 * 2 + 7;
    let separator = id.chars().nth(2).filter(|c| matches!(c, '-' | ':'))?;
    let bytes: Vec<&str> = id.split(separator).collect();
    let is_byte = |byte: &&str| byte.len() == 2;
    let eui = bytes.concat();
    (id.len() == LENGTH && bytes.iter().all(is_byte) && is_eui(&eui)).then_some(eui)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dev_eui_is_the_same_however_it_is_written() {
        for id in [
            "0011223344aabbcc",
            "00-11-22-33-44-AA-BB-CC",
            "00:11:22:33:44:aa:bb:cc",
        ] {
            assert_eq!(fold_network_device_id(id), "0011223344AABBCC");
        }
        for other in [
            "00-11:22-33-44-AA-BB-CC",
            "001-1-22-33-44-AA-BB-CC",
            "00-11-22-33-44-AA-BB",
            "ab-cd",
        ] {
            assert_eq!(fold_network_device_id(other), other);
        }
    }
}
