//! Which hosts this server may speak to, and the one maker of HTTP clients that keep to it.
//!
//! An address that somebody else gave may lead to the server's own machine or network. It is looked at where it counts: the
//! numbers that a name resolves to are checked as the connection is made, so that a name can't say one thing to the check
//! and another to the connection; numbers in a URL, which nobody resolves, are checked before a request and at each redirect.
//!
//! Only clients made here are guarded; whoever speaks HTTP takes one from here. Proxies of the environment are not used:
//! behind one, nobody could tell where a request goes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use url::{Host, Url};

use crate::base::error::{Error, Kind, Result};

/// Redirects followed; browsers follow 20, and what needs more than a few is a loop or a trap.
const REDIRECTS_MAX: usize = 8;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may be silent within an answer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What this server calls itself.
pub const USER_AGENT: &str = concat!("hivemem/", env!("CARGO_PKG_VERSION"));

/// See the module's documentation. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    rules: Arc<Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    allow_private: bool,
    /// Names and numbers in lower case.
    allow_hosts: Vec<String>,
}

/// Why a host is not spoken to. Travels as a cause through the HTTP client.
#[derive(Debug, Clone)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    fn host(host: &str, ip: IpAddr) -> Self {
        let leads = if host == ip.to_string() { String::new() } else { format!(", which leads to {ip}") };
        Self(format!(
            "{host}{leads} is of this machine or a private network: add it to network.allow_hosts if it is meant, or set \
             network.allow_private"
        ))
    }

    /// The refusal among the causes of an error.
    pub fn among<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(refused) = cause.downcast_ref::<Self>() {
                return Some(refused);
            }
            next = cause.source();
        }
        None
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::new(Kind::Denied, refused.0)
    }
}

impl Guard {
    /// With `allow_private` every host may be spoken to, else public ones and those of `allow_hosts` (names or numbers,
    /// without a port).
    pub fn new(allow_private: bool, allow_hosts: &[String]) -> Self {
        let allow_hosts = allow_hosts.iter().map(|host| bare(host)).collect();
        Self { rules: Arc::new(Rules { allow_private, allow_hosts }) }
    }

    /// Looks at what can be seen of a URL without resolving it.
    ///
    /// # Errors
    /// [`Refused`], for another scheme than http and https, no host, or a number that is not public.
    pub fn check(&self, url: &Url) -> std::result::Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused(format!("{url} is neither http nor https")));
        }
        let ip = match url.host() {
            None => return Err(Refused(format!("{url} names no host"))),
            Some(Host::Domain(name)) => match bare(name).parse::<IpAddr>() {
                Ok(ip) => ip,
                // Looked at when it is resolved.
                Err(_) => return Ok(()),
            },
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        };
        if self.allows(&ip.to_string(), ip) { Ok(()) } else { Err(Refused::host(&ip.to_string(), ip)) }
    }

    fn allows(&self, host: &str, ip: IpAddr) -> bool {
        let rules = &self.rules;
        rules.allow_private || is_public(ip) || {
            let (host, ip) = (bare(host), ip.to_string());
            rules.allow_hosts.iter().any(|allowed| *allowed == host || *allowed == ip)
        }
    }

    /// A client that keeps to the rules, with timeouts for connecting and for silence; redirects are checked and followed.
    ///
    /// # Errors
    /// Precondition if no provider of TLS was installed, or the system's certificates can't be read.
    pub fn client(&self) -> Result<reqwest::Client> {
        self.build(self.builder())
    }

    /// What [`Self::client`] is built from, for who needs other timeouts or headers. Leave resolver, redirects and proxy alone.
    pub fn builder(&self) -> reqwest::ClientBuilder {
        let guard = self.clone();
        let follow = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS_MAX {
                return attempt.error(Refused(format!("there are more than {REDIRECTS_MAX} redirects on the way")));
            }
            let from_tls = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
            if from_tls && attempt.url().scheme() == "http" {
                return attempt.error(Refused("a redirect leads from https to http".to_owned()));
            }
            match guard.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(refused) => attempt.error(refused),
            }
        });
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .dns_resolver(Arc::new(self.clone()))
            .redirect(follow)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
    }

    /// Builds a client from what [`Self::builder`] began.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn build(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
        // The client would panic without one.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Error::new(Kind::Precondition, "no provider of TLS was installed in this process"));
        }
        builder.build().map_err(|cause| {
            Error::new(Kind::Precondition, "no HTTP client can be made on this system").caused_by(cause)
        })
    }
}

impl Guard {
    /// What a host resolves to, as far as it may be spoken to.
    async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> std::result::Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
        let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| self.allows(host, address.ip()));
        match (good.is_empty(), bad.first()) {
            (true, Some(refused)) => Err(Refused::host(host, refused.ip()).into()),
            _ => Ok(good),
        }
    }

    /// Where to connect to for a host, for who speaks something else than HTTP.
    ///
    /// # Errors
    /// Denied if it may not be spoken to; unavailable if nobody knows it.
    pub async fn address(&self, host: &str, port: u16) -> Result<SocketAddr> {
        let found = self.addresses(host, port).await.map_err(|cause| match Refused::among(&*cause) {
            Some(refused) => refused.clone().into(),
            None => Error::new(Kind::Unavailable, format!("{host} can't be resolved: {cause}")),
        })?;
        let none = || Error::new(Kind::Unavailable, format!("{host} resolves to nothing"));
        found.first().copied().ok_or_else(none)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move { Ok(Box::new(guard.addresses(name.as_str(), 0).await?.into_iter()) as Addrs) })
    }
}

/// A host as it is compared: lower case, without the brackets of IPv6 and the dot at the end of a full name.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

/// Whether an address is one that anybody on the internet may be reached at.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        // Carriers' networks, protocol assignments, benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    // Forms that carry an IPv4 address lead to that: mapped, compatible, translated (64:ff9b::/96), 6to4.
    let last = Ipv4Addr::from((u32::from(parts[6]) << 16) | u32::from(parts[7]));
    if ip.to_ipv4_mapped().is_some() || parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(last);
    }
    if parts[0] == 0x2002 {
        return is_public_v4(Ipv4Addr::from((u32::from(parts[1]) << 16) | u32::from(parts[2])));
    }
    // Of the rest only global unicast is public; not the part for documentation and tunnels.
    (parts[0] & 0xe000) == 0x2000 && !(parts[0] == 0x2001 && (parts[1] == 0xdb8 || parts[1] < 0x200))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(guard: &Guard, url: &str) -> bool {
        guard.check(&Url::parse(url).unwrap()).is_err()
    }

    #[test]
    fn numbers_that_are_not_public_are_refused_however_they_are_written() {
        let guard = Guard::default();
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://255.255.255.255/",
            "ftp://example.org/",
        ] {
            assert!(refused(&guard, url), "{url}");
        }
        for url in
            ["https://93.184.215.14/", "http://[2606:2800:21f::1]/", "https://example.org/", "http://172.32.0.1/"]
        {
            assert!(!refused(&guard, url), "{url}");
        }
    }

    #[test]
    fn a_host_is_allowed_by_name_or_number_or_with_all_others() {
        let guard = Guard::new(false, &["LOCALHOST".to_owned(), "[::1]".to_owned()]);
        assert!(guard.allows("localhost", IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(!guard.allows("other", IpAddr::V4(Ipv4Addr::LOCALHOST)) && refused(&guard, "http://127.0.0.1/"));
        assert!(!refused(&guard, "http://[::1]:80/"));
        assert!(!refused(&Guard::new(true, &[]), "http://127.0.0.1/"));
        let message = guard.check(&Url::parse("http://10.0.0.1/").unwrap()).unwrap_err().to_string();
        assert!(message.contains("10.0.0.1") && message.contains("network.allow_hosts"), "{message}");
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let name = || "localhost".parse::<Name>().unwrap();
        let error = match Guard::default().resolve(name()).await {
            Ok(_) => panic!("localhost was let through"),
            Err(error) => error,
        };
        assert!(Refused::among(&*error).unwrap().to_string().contains("localhost"), "{error}");
        assert!(Guard::new(false, &["localhost".to_owned()]).resolve(name()).await.is_ok());
    }
}
