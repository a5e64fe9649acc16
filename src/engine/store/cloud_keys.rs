//! Keys that object_store's paths can't hold: with empty or relative parts, control characters, a slash at an end.
//!
//! The library parses every key of a page of a listing, and one that it can't hold fails the page; a slash at the end it
//! forgets, so that the mark of a folder looks like an empty object. Before it sees a page, such keys are written in a way
//! that it can hold and that no key has; whoever takes the listing reads them back and tells what they are.

use std::borrow::Cow;

use object_store::path::Path;
use url::form_urlencoded;

use super::cloud_client::Provider;

/// What a veiled key begins with, from the private use area of Unicode.
const MARK: &str = "\u{e000}veiled:";

/// A page of a listing with its odd keys veiled; `None`: there are none.
pub(super) fn veil_page(provider: Provider, xml: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(xml).ok()?;
    // What the element of a key is called; an encoded name of Azure has an attribute.
    let (begin, end) = match provider {
        Provider::S3 | Provider::Gs => ("<Key>", "</Key>"),
        Provider::Az => ("<Name", "</Name>"),
    };
    let mut page = String::new();
    let whole = rest;
    while let Some((name, key_at, key_end)) = next(rest, begin, end) {
        let (attributes, text) = (&rest[name..key_at], &rest[key_at..key_end]);
        if let Some(key) = odd_key(text, attributes.contains("Encoded=\"true\"")) {
            page.push_str(&rest[..name]);
            page.push_str(if provider == Provider::Az { ">" } else { "" });
            page.push_str(&veil(&key));
        } else {
            page.push_str(&rest[..key_end]);
        }
        rest = &rest[key_end..];
    }
    page.push_str(rest);
    (page != whole).then_some(page)
}

/// The next element with a key: where its name ends, and the bounds of its text.
fn next(xml: &str, begin: &str, end: &str) -> Option<(usize, usize, usize)> {
    let name = xml.find(begin)? + begin.len();
    let key_at = if begin.ends_with('>') { name } else { name + xml[name..].find('>')? + 1 };
    Some((name, key_at, key_at + xml[key_at..].find(end)?))
}

/// The key that a text of XML stands for, if the library can't hold it as it is.
fn odd_key(text: &str, percent_encoded: bool) -> Option<String> {
    if text.contains('<') {
        return None;
    }
    let key = quick_xml::escape::unescape(text).unwrap_or(Cow::Borrowed(text)).into_owned();
    if percent_encoded {
        // Only percent signs mean something here.
        let form = key.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
        return Some(decoded(&form));
    }
    let is_same = |path: Path| path.as_ref() == key.as_str();
    let is_held = !key.is_empty() && !key.starts_with(MARK) && Path::parse(&key).is_ok_and(is_same);
    (!is_held).then_some(key)
}

fn veil(key: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    format!("{MARK}{encoded}")
}

/// The key that a veiled one stands for.
pub(super) fn unveil(path: &str) -> Option<String> {
    path.strip_prefix(MARK).map(decoded)
}

fn decoded(form: &str) -> String {
    form_urlencoded::parse(form.as_bytes()).next().map(|(key, _)| key.into_owned()).unwrap_or_default()
}

/// What is odd about a key, as a short stable phrase.
pub(super) fn oddity(key: &str) -> &'static str {
    if key.contains(char::is_control) {
        "control characters in the key"
    } else if key.ends_with('/') && Path::parse(key).is_ok() {
        "slash at the end of the key"
    } else {
        "empty or relative parts in the key"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_keys_come_back_as_they_were_and_others_stay() {
        let page = |keys: &[&str]| -> String {
            keys.iter().map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")).collect()
        };
        let plain = page(&["a/b.md", "a &amp; b", "größer/x", "a=b&amp;c", ".hidden", "a%2F%2Fb", "x..y"]);
        assert_eq!(veil_page(Provider::S3, plain.as_bytes()), None);
        for (written, key) in [
            ("a//b", "a//b"),
            ("a/./b", "a/./b"),
            ("../b", "../b"),
            ("/a", "/a"),
            ("docs/", "docs/"),
            ("a&#x1;b&amp;c", "a\u{1}b&c"),
            ("a\nb", "a\nb"),
            ("", ""),
            ("\u{e000}veiled:x", "\u{e000}veiled:x"),
            ("a//b=c&amp;d+e f", "a//b=c&d+e f"),
        ] {
            let veiled = veil_page(Provider::Gs, page(&["first", written, "last"]).as_bytes()).unwrap();
            let (_, rest) = veiled.split_once("<Key>first</Key>").unwrap();
            let (_, rest) = rest.split_once("<Key>").unwrap();
            let (path, rest) = rest.split_once("</Key>").unwrap();
            assert_eq!(Path::parse(path).unwrap().as_ref(), path, "{written:?}");
            assert_eq!(unveil(path).as_deref(), Some(key), "{written:?}");
            assert!(rest.contains("<Key>last</Key>"));
        }
        let azure =
            "<Blobs><Blob><Name>a/b</Name></Blob><Blob><Name Encoded=\"true\">a%EF%BF%BF+b</Name></Blob></Blobs>";
        let veiled = veil_page(Provider::Az, azure.as_bytes()).unwrap();
        assert!(veiled.contains("<Name>a/b</Name>"), "{veiled}");
        let (_, path) = veiled.rsplit_once("<Name>").unwrap();
        assert_eq!(unveil(path.split_once('<').unwrap().0).as_deref(), Some("a\u{ffff}+b"));
    }

    #[test]
    fn what_is_odd_is_named() {
        for (key, reason) in [
            ("a\u{1}/", "control characters in the key"),
            ("docs/", "slash at the end of the key"),
            ("docs//", "empty or relative parts in the key"),
            ("./x", "empty or relative parts in the key"),
        ] {
            assert_eq!(oddity(key), reason, "{key:?}");
        }
    }
}
