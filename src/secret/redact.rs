//! Removes the hub's secrets from texts of other systems.
//!
//! A system that gets a secret may repeat it in its answer, and the answer is shown to everybody who may see
//! deliveries or downlinks. The secret may be encoded: escaped for JSON, a URL or HTML, also nested, in
//! base64 or hexadecimal digits, or in another case. All of these are removed.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Minimum length of a secret to remove, in bytes: shorter ones would be found in unrelated words.
const BYTES_MIN: usize = 4;
/// Minimum length of a token that follows an authentication scheme.
const TOKEN_MIN: usize = 8;
/// Maximum length of a secret whose encodings are searched, in bytes. Longer ones, such as a client's key,
/// are only searched in plain and escaped form.
const ENCODED_MAX: usize = 512;
/// Maximum length of a text to search, in bytes; the rest is cut. People are shown much less of it.
const TEXT_MAX: usize = 8 * 1024;
/// Maximum depth of nested escapes: JSON in a string of JSON in a query has three.
const LAYERS: usize = 3;
const IN_THEIR_PLACE: &str = "***";

/// Replaces secrets in texts.
pub struct Redactor {
    /// `None` if there are no secrets.
    search: Option<AhoCorasick>,
    needles: Vec<Needle>,
}

/// A text to search for.
struct Needle {
    text: String,
    /// True if the adjacent characters may encode a part of the secret as well.
    is_inside_base64: bool,
}

/// An escape syntax for special characters.
#[derive(Clone, Copy)]
enum Escape {
    /// `\/`, `\u002b`, `\x2b`: JSON and JavaScript.
    Backslash,
    /// `%2B`: URLs and forms.
    Percent,
    /// `&amp;`, `&#43;`: HTML and XML.
    Entity,
}

/// A text with its escapes decoded: its bytes, and the position of each in the original text.
struct View {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Redactor {
    /// Prepares a search for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            for part in parts(secret) {
                add_writings(&mut needles, &part);
            }
        }
        // The fastest automaton takes a kilobyte for each byte of a secret, so this one is used.
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(needles.iter().map(|needle| &needle.text));
        Self {
            search: search.ok().filter(|_| !needles.is_empty()),
            needles,
        }
    }

    /// Returns the beginning of a text with the secrets replaced.
    pub fn redact(&self, text: &str) -> String {
        let text = &text[..text.floor_char_boundary(TEXT_MAX)];
        let Some(search) = &self.search else {
            return text.to_owned();
        };
        let mut found = Vec::new();
        self.look(search, &View::of(text), LAYERS, &mut found);
        without(text, found)
    }

    /// Searches a view, and the views in which its escapes are decoded.
    fn look(
        &self,
        search: &AhoCorasick,
        view: &View,
        layers: usize,
        found: &mut Vec<Range<usize>>,
    ) {
        for hit in search.find_overlapping_iter(&view.bytes) {
            let needle = &self.needles[hit.pattern()];
            let (mut start, mut end) = (hit.start(), hit.end());
            if needle.is_inside_base64 {
                start -= usize::from(start > 0 && is_base64(view.bytes[start - 1]));
                while end < view.bytes.len().min(hit.end() + 3) && is_base64(view.bytes[end]) {
                    end += 1;
                }
            }
            found.push(view.places[start].start..view.places[end - 1].end);
        }
        for needle in &self.needles {
            found.extend(view.beginning_of(&needle.text));
        }
        if layers == 0 {
            return;
        }
        for escape in [Escape::Backslash, Escape::Percent, Escape::Entity] {
            if let Some(view) = view.undone(escape) {
                self.look(search, &view, layers - 1, found);
            }
        }
    }
}

/// Returns a secret and the parts of it that are secret by themselves: the token after the scheme of an
/// `Authorization` header, and the password in one of the scheme `Basic`.
fn parts(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.to_owned(), secret.trim().to_owned()];
    // Must be a token: the second word of a passphrase would be removed from texts that only speak of
    // passwords.
    let is_word = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_token = |rest: &str| rest.len() >= TOKEN_MIN && !rest.contains(' ') && !is_word(rest);
    let header = secret.trim().split_once(' ');
    if let Some((scheme, rest)) = header.filter(|(_, rest)| is_token(rest)) {
        parts.push(rest.to_owned());
        let pair = STANDARD.decode(rest).ok();
        let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
        if let Some(pair) = pair.filter(|_| scheme.eq_ignore_ascii_case("basic")) {
            parts.extend(
                pair.split_once(':')
                    .map(|(_, password)| password.to_owned()),
            );
            parts.push(pair);
        }
    }
    parts.sort();
    parts.dedup();
    parts.retain(|part| part.len() >= BYTES_MIN);
    parts
}

fn add_writings(needles: &mut Vec<Needle>, secret: &str) {
    let mut add = |text: String, is_inside_base64| {
        if text.len() >= BYTES_MIN {
            needles.push(Needle {
                text,
                is_inside_base64,
            });
        }
    };
    add(secret.to_owned(), false);
    if secret.contains(' ') {
        // The encoding of HTML forms.
        add(secret.replace(' ', "+"), false);
    }
    if secret.len() > ENCODED_MAX {
        return;
    }
    add(hex::encode(secret), false);
    // The base64 of the secret depends on the number of bytes before it, modulo three.
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        // Characters that also encode adjacent bytes are left out.
        let whole = bytes.len() * 8 / 6;
        let first = [0, 2, 3][before];
        for text in [
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE_NO_PAD.encode(&bytes),
        ] {
            add(text[first..whole].to_owned(), true);
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// Returns the text with these ranges replaced.
fn without(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.sort_by_key(|range| (range.start, range.end));
    let (mut kept, mut at) = (String::new(), 0);
    for range in found {
        let start = text.floor_char_boundary(range.start);
        let end = text.ceil_char_boundary(range.end);
        if start >= at {
            kept += &text[at..start];
            kept += IN_THEIR_PLACE;
        }
        at = at.max(end);
    }
    kept + &text[at..]
}

impl View {
    fn of(text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_vec(),
            places: (0..text.len()).map(|at| at..at + 1).collect(),
        }
    }

    /// Returns the range at the end of the text that may be the beginning of a needle: the text was cut
    /// there.
    fn beginning_of(&self, needle: &str) -> Option<Range<usize>> {
        let most = self.bytes.len().min(needle.len().saturating_sub(1));
        let length = (BYTES_MIN..=most).rev().find(|length| {
            let end = &self.bytes[self.bytes.len() - length..];
            end.eq_ignore_ascii_case(&needle.as_bytes()[..*length])
        })?;
        let first = self.bytes.len() - length;
        Some(self.places[first].start..self.places.last()?.end)
    }

    /// Returns the view with one kind of escapes decoded; `None` if it contains none.
    fn undone(&self, escape: Escape) -> Option<Self> {
        let mark = match escape {
            Escape::Backslash => b'\\',
            Escape::Percent => b'%',
            Escape::Entity => b'&',
        };
        if !self.bytes.contains(&mark) {
            return None;
        }
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        let (mut at, mut has_any) = (0, false);
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            let read = (rest[0] == mark).then(|| escape.read(rest)).flatten();
            has_any |= read.is_some();
            let (length, text) = read.unwrap_or_else(|| (1, vec![rest[0]]));
            let place = self.places[at].start..self.places[at + length - 1].end;
            places.extend(std::iter::repeat_n(place, text.len()));
            bytes.extend(text);
            at += length;
        }
        has_any.then_some(Self { bytes, places })
    }
}

impl Escape {
    /// Decodes the escape at the start of the text. Returns its length and the bytes that it stands for;
    /// `None` if it is not an escape.
    fn read(self, text: &[u8]) -> Option<(usize, Vec<u8>)> {
        match self {
            Self::Backslash => backslash(text),
            Self::Percent => Some((3, vec![u8::try_from(digits(text.get(1..3)?)?).ok()?])),
            Self::Entity => entity(text),
        }
    }
}

fn digits(text: &[u8]) -> Option<u32> {
    let is_number = text.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    u32::from_str_radix(text, 16).ok()
}

fn backslash(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let character = |code: u32| Some(char::from_u32(code)?.to_string().into_bytes());
    match *text.get(1)? {
        b'u' if text.get(2) == Some(&b'{') => {
            let end = text.iter().take(12).position(|byte| *byte == b'}')?;
            Some((end + 1, character(digits(&text[3..end])?)?))
        }
        b'u' => {
            let code = digits(text.get(2..6)?)?;
            let low = text.get(6..12).filter(|low| low.starts_with(b"\\u"));
            let low = low.and_then(|low| digits(&low[2..]));
            match (code, low) {
                (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                    let code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    Some((12, character(code)?))
                }
                _ => Some((6, character(code)?)),
            }
        }
        b'x' => Some((4, character(digits(text.get(2..4)?)?)?)),
        b'n' => Some((2, b"\n".to_vec())),
        b'r' => Some((2, b"\r".to_vec())),
        b't' => Some((2, b"\t".to_vec())),
        b'b' => Some((2, vec![8])),
        b'f' => Some((2, vec![12])),
        // A slash, a quote or a backslash, for example, stands for itself.
        other => Some((2, vec![other])),
    }
}

fn entity(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let end = text.iter().take(40).position(|byte| *byte == b';')?;
    let written = std::str::from_utf8(&text[..=end]).ok()?;
    let read = html_escape::decode_html_entities(written);
    (read != written).then(|| (end + 1, read.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redacted(secret: &str, text: &str) -> String {
        Redactor::new([secret]).redact(text)
    }

    #[test]
    fn secrets_are_left_out_whole() {
        let redactor = Redactor::new(["abcd", "abcdef", "x"]);
        assert_eq!(
            redactor.redact("got abcdef, abcd and x"),
            "got ***, *** and x"
        );
        assert_eq!(redactor.redact("nothing of it"), "nothing of it");
        assert_eq!(Redactor::new([]).redact("abcd"), "abcd");
    }

    #[test]
    fn other_writings_of_a_secret_are_left_out() {
        let secret = "p/ss+w\"rd & co";
        for text in [
            r#"p\/ss+w\"rd & co"#,
            r#"p/ss\u002bw\u0022rd \u0026 co"#,
            r#"p/ss\x2Bw\u{22}rd & co"#,
            "p%2Fss%2bw%22rd%20%26%20co",
            "p%2Fss%2Bw%22rd+%26+co",
            "p/ss+w&quot;rd &amp; co",
            "p&#x2f;ss&plus;w&#34;rd &#38; co",
            // One in the other.
            r#"p\\\/ss+w\\\"rd & co"#,
            "p%252Fss%252Bw%2522rd%2520%2526%2520co",
            r#"p/ss\u0026#43;w\u0026quot;rd \u0026amp; co"#,
            "P/SS+W\"RD & CO",
            "702f73732b772272642026 20636f".replace(' ', "").as_str(),
            "702F73732B7722726420262 0636F".replace(' ', "").as_str(),
        ] {
            assert_eq!(redacted(secret, &format!("<{text}>")), "<***>", "{text}");
        }
    }

    #[test]
    fn a_header_is_left_out_and_what_is_in_it() {
        let basic = "Basic bWU6cGFzcyB3b3Jk";
        for text in [
            "Basic bWU6cGFzcyB3b3Jk",
            "bWU6cGFzcyB3b3Jk",
            "pass word",
            "me:pass word",
        ] {
            assert_eq!(redacted(basic, &format!("<{text}>")), "<***>", "{text}");
        }
        assert_eq!(redacted("Bearer some/token", r"<some\/token>"), "<***>");
        let told = "refuses the username or the password";
        assert_eq!(redacted("broker password", told), told);
        assert_eq!(
            redacted("pass word", "a wrong password"),
            "a wrong password"
        );
    }

    #[test]
    fn a_text_that_breaks_off_within_a_secret_holds_nothing_of_it() {
        let secret = "s3cr3t/token".repeat(10);
        let long = "x".repeat(TEXT_MAX - 30) + &secret;
        assert!(redacted(&secret, &long).ends_with("x***"));
        let escaped = "<".to_owned() + &secret.replace('/', "\\/")[..50];
        assert_eq!(redacted(&secret, &escaped), "<***");
    }

    /// Each way in which a receiver may repeat a secret.
    fn written(secret: &str, how: usize, before: &str) -> String {
        let unicode = |text: &str| -> String {
            text.encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect()
        };
        let json = |text: &str| serde_json::to_string(text).unwrap().replace('/', "\\/");
        let percent =
            |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        match how {
            0 => secret.to_owned(),
            1 => json(secret),
            2 => json(&json(secret)),
            3 => unicode(secret),
            4 => percent(secret),
            5 => percent(&percent(secret)),
            6 => url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            7 => html_escape::encode_text(secret).into_owned(),
            8 => json(&html_escape::encode_quoted_attribute(secret)),
            9 => hex::encode_upper(secret),
            10 => STANDARD.encode(secret),
            11 => STANDARD.encode(format!("{before}{secret}{before}")),
            12 => URL_SAFE_NO_PAD.encode(format!("{before}{secret}")),
            13 => json(&STANDARD.encode(format!("{before}:{secret}"))),
            _ => secret.to_ascii_uppercase(),
        }
    }

    proptest! {
        #[test]
        fn no_writing_shows_a_secret(
            secret in "[!-~]{8,40}",
            how in 0_usize..15,
            before in "[a-z]{0,5}",
        ) {
            let text = format!("{{\"you said\": {}}}", written(&secret, how, &before));
            let shown = redacted(&secret, &text);
            prop_assert!(shown.contains("***"), "{text} {shown}");
            // Whatever is left may be some characters in which what stands around it has a part.
            let rest = shown.replace("{\"you said\": ", "").replace("***", "");
            let most = 2 + 2 * before.len() * 2 + 6;
            prop_assert!(rest.len() <= most, "{text} {shown}");
        }

        #[test]
        fn any_text_is_read(secret in "\\PC{0,20}", text in "\\PC{0,60}", escaped in "[\\\\u%&#x;0-9a-f]{0,60}") {
            let redactor = Redactor::new([secret.as_str()]);
            redactor.redact(&text);
            redactor.redact(&escaped);
        }
    }
}
