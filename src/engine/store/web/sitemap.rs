//! Sitemaps (sitemaps.org): lists of a site's pages, plain or packed, and lists of such lists.

use std::io::Read;

use flate2::read::GzDecoder;
use quick_xml::Reader;
use quick_xml::events::Event;
use url::Url;

use super::address::normal;

/// Largest sitemap, unpacked: the protocol's own limit.
pub(super) const SITEMAP_BYTES_MAX: u64 = 50 * 1024 * 1024;
/// How much larger than its packed form a sitemap may be. XML of addresses packs to a tenth or twentieth; the densest real
/// lists to a sixtieth.
const RATIO_MAX: u64 = 200;
/// Pages of one sitemap: the protocol's own limit.
const PAGES_MAX: usize = 50_000;

/// What a sitemap names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sitemap {
    /// Pages.
    pub pages: Vec<Url>,
    /// Other sitemaps.
    pub sitemaps: Vec<Url>,
}

/// Reads a sitemap; what is broken off or no sitemap gives what it has.
///
/// # Errors
/// What is wrong with a packed one: too large, or no gzip.
pub(super) fn read(bytes: &[u8]) -> Result<Sitemap, &'static str> {
    let unpacked;
    let text = if bytes.starts_with(b"\x1f\x8b") {
        unpacked = unpack(bytes)?;
        String::from_utf8_lossy(&unpacked)
    } else {
        String::from_utf8_lossy(bytes)
    };
    let mut found = Sitemap::default();
    if !text.trim_start().trim_start_matches('\u{feff}').starts_with('<') {
        // One address a line is a sitemap, too.
        found.pages.extend(text.lines().filter_map(address).take(PAGES_MAX));
        return Ok(found);
    }
    let mut reader = Reader::from_str(&text);
    let (mut in_index, mut location) = (false, None::<String>);
    while found.pages.len() + found.sitemaps.len() < PAGES_MAX {
        match reader.read_event() {
            Ok(Event::Start(tag)) => match tag.local_name().as_ref() {
                "sitemap" => in_index = true,
                "url" => in_index = false,
                "loc" => location = Some(String::new()),
                _ => {}
            },
            Ok(Event::Text(text)) => {
                if let Some(location) = &mut location {
                    location.push_str(text.as_ref());
                }
            }
            Ok(Event::CData(text)) => {
                if let Some(location) = &mut location {
                    location.push_str(text.as_ref());
                }
            }
            Ok(Event::GeneralRef(name)) => {
                if let Some(location) = &mut location {
                    location.push_str(entity(name.as_ref()));
                }
            }
            Ok(Event::End(tag)) if tag.local_name().as_ref() == "loc" => {
                let url = location.take().and_then(|text| address(&text));
                if in_index { found.sitemaps.extend(url) } else { found.pages.extend(url) }
            }
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Ok(found)
}

/// The five entities of XML; addresses need no others.
fn entity(name: &str) -> &'static str {
    match name {
        "amp" | "#38" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" | "#39" => "'",
        _ => "",
    }
}

fn address(text: &str) -> Option<Url> {
    Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https")).map(normal)
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    let most = SITEMAP_BYTES_MAX.min((bytes.len() as u64).saturating_mul(RATIO_MAX));
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes).take(most + 1).read_to_end(&mut unpacked).map_err(|_| "sitemap that can't be unpacked")?;
    if unpacked.len() as u64 > most { Err("sitemap that unpacks to too much") } else { Ok(unpacked) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn pages(bytes: &[u8]) -> Vec<String> {
        read(bytes).unwrap().pages.into_iter().map(String::from).collect()
    }

    #[test]
    fn pages_and_further_sitemaps_are_told_apart() {
        let set = b"<?xml version='1.0'?><urlset xmlns='x'><url><loc> https://h/a?x=1&amp;y=2 </loc><lastmod>2026</lastmod></url>\
            <url><loc><![CDATA[https://h/b]]></loc></url><url><loc>not one</loc></url></urlset>";
        assert_eq!(pages(set), ["https://h/a?x=1&y=2", "https://h/b"]);
        assert_eq!(pages(&packed(set)), pages(set));
        let index = read(b"<sitemapindex><sitemap><loc>https://h/s1.xml.gz</loc></sitemap></sitemapindex>").unwrap();
        assert_eq!((index.pages.len(), index.sitemaps.len()), (0, 1));
        assert_eq!(pages(b"https://h/a\nhttps://h/b\n"), ["https://h/a", "https://h/b"]);
    }

    #[test]
    fn broken_and_swollen_ones_do_no_harm() {
        assert_eq!(pages(b"<urlset><url><loc>https://h/a</loc></url><url><loc>https://h/b"), ["https://h/a"]);
        let bomb = packed(&vec![b' '; 64 * 1024 * 1024]);
        assert_eq!(read(&bomb), Err("sitemap that unpacks to too much"));
        assert_eq!(read(&packed(b"<urlset>")[..12]), Err("sitemap that can't be unpacked"));
    }
}
