use super::*;

#[test]
fn labels_take_every_script_and_refuse_what_selectors_use() {
    for good in ["Türsensor", "site=berlin", "二階", "a b", "a/b.c:d_e-f"] {
        assert!(Label::new(good).is_ok(), "{good}");
    }
    for bad in ["", " a", "a ", "a,b", "(a)", "!a", "a\0b", "a\"b"] {
        assert!(Label::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn urls_have_no_user_and_no_password() {
    for good in ["https://a.example/@me?to=a@b", "http://[::1]:8080/"] {
        assert!(HttpUrl::new(good).is_ok(), "{good}");
    }
    for bad in [
        "https://user:word@a.example/",
        "https://user@a.example",
        "https://:word@a.example/x",
        "https://@a.example/",
    ] {
        let rule = HttpUrl::new(bad).unwrap_err();
        assert!(rule.contains("auth"), "{bad}: {rule}");
    }
}

#[test]
fn lengths_count_characters() {
    assert!(Name::new("ü".repeat(120)).is_ok());
    assert_eq!(
        Name::new("ü".repeat(121)).unwrap_err(),
        "must have 1 to 120 characters"
    );
}

#[test]
fn patterns_agree_with_the_checks() {
    check_all_patterns();
}

#[test]
fn what_only_looks_like_a_url_or_a_key_is_refused() {
    for bad in ["https:///erp.example.com", "http://", "https://?a"] {
        assert!(HttpUrl::new(bad).is_err(), "{bad}");
    }
    assert!(BrokerUrl::new("mqtts://").is_err());
    assert!(HostPort::new("kafka:009093").is_err());
    assert!(PrivateKeyText::new("-----BEGIN no PRIVATE KEY-----").is_err());
    let second = "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----";
    assert!(PrivateKeyText::new(second).is_ok());
}

#[test]
fn a_device_s_label_reads_as_its_selector() {
    for good in [
        "site=berlin",
        "site:berlin",
        "meeting room",
        "floor=1st floor",
        "a=",
        "a=b=c",
        "urn:dev:1",
        ":a",
        "a:",
        "Türsensor",
        "a  b c",
    ] {
        assert!(DeviceLabel::new(good).is_ok(), "{good}");
    }
    for bad in [
        "site: berlin",
        "site= berlin",
        "site =berlin",
        "site :berlin",
        "=berlin",
        "=",
        "a b: c",
        "a,b",
        " a",
    ] {
        assert!(DeviceLabel::new(bad).is_err(), "{bad}");
    }
}
