//! Origins that certificates of SNS messages come from, and to which subscriptions are confirmed.

use http_client::Url;
use http_client::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Permitted origins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origins {
    /// Those of Amazon: `https://sns.<region>.amazonaws.com`, in the region of the topic, and at public addresses.
    #[default]
    Amazon,
    /// Those that the operator names, at any address.
    Named(BTreeSet<String>),
}

impl Origins {
    /// Reads a list of origins, separated by commas. Plain HTTP stays on this machine.
    ///
    /// # Errors
    /// The first entry that is no origin.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let named = entries.map(|entry| origin(entry).ok_or_else(|| entry.to_owned())).collect::<Result<_, _>>()?;
        Ok(Origins::Named(named))
    }

    /// Whether a URL may be asked for a message of a topic in this region.
    #[must_use]
    pub(super) fn permit(&self, url: &Url, region: &str) -> bool {
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let is_permitted = match self {
            Origins::Amazon => url.scheme() == "https" && url.port().is_none() && is_amazon(url, region),
            Origins::Named(origins) => origins.contains(&url.origin().ascii_serialization()),
        };
        is_bare && is_permitted
    }
}

/// An origin in the form in which URLs are compared with it.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_bare = url.username().is_empty() && url.password().is_none();
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(crate::store::hosts::is_this_machine),
        _ => false,
    };
    (is_origin && is_bare && is_safe).then(|| url.origin().ascii_serialization())
}

/// Whether the host is that of SNS in a region. The form of a region keeps out buckets of S3, whose hosts look alike:
/// `sns.s3-us-west-2.amazonaws.com`.
fn is_amazon(url: &Url, region: &str) -> bool {
    let host = url.host_str().and_then(|host| host.strip_prefix("sns."));
    let named =
        host.and_then(|host| host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn")));
    named == Some(region) && is_region(region)
}

/// Whether a text is a region of Amazon's, such as `eu-west-1` or `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let [country, words @ .., number] = &*parts else { return false };
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase());
    is_word(country)
        && !words.is_empty()
        && words.iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// Resolves names to public addresses alone, so that a name of Amazon's that was forged leads to nothing in the network of
/// the server.
pub(super) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_for_tests = a == 198 && (18..20).contains(&b) || address.is_documentation();
    let is_reserved = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0);
    let is_near = address.is_loopback() || address.is_private() || address.is_link_local();
    !(is_near || is_shared || is_for_tests || is_reserved || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An IPv4 address behind a translator (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Tunnels, documentation and other special purposes.
        [0x2001, part, ..] => part >= 0x0200 && part != 0x0db8,
        [0x2002, ..] => false,
        [0x3fff, part, ..] => part >= 0x1000,
        // Global addresses so far.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(origins: &Origins, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| origins.permit(&url, "eu-west-1"))
    }

    #[test]
    fn amazon_is_asked_in_the_region_of_the_topic() {
        for url in [
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
            "https://SNS.eu-west-1.AmazonAWS.com:443/?Action=ConfirmSubscription&Token=1",
            "https://sns.eu-west-1.amazonaws.com.cn/a.pem",
        ] {
            assert!(permitted(&Origins::Amazon, url), "{url}");
        }
        for url in [
            "http://sns.eu-west-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
            "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
            "https://evil@sns.eu-west-1.amazonaws.com/a.pem",
            "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
            "https://evil.example\\\\@sns.eu-west-1.amazonaws.com/a.pem",
            "https://s3.eu-west-1.amazonaws.com/a.pem",
            "https://sns.eu-west-1.amazonaws.com./a.pem",
            "https://sns.eu-west-1.amazonaws.com/a.pem#b",
            "https://127.0.0.1/a.pem",
            "file:///a.pem",
        ] {
            assert!(!permitted(&Origins::Amazon, url), "{url}");
        }
        let bucket = Url::parse("https://sns.s3-us-west-2.amazonaws.com/a.pem").expect("a URL");
        assert!(!Origins::Amazon.permit(&bucket, "s3-us-west-2"));
    }

    #[test]
    fn the_operator_names_other_origins() {
        let origins = Origins::parse(" https://sns.example.org:8443/ , http://127.0.0.1:4000,").expect("origins");
        for url in ["https://SNS.example.org:8443/a.pem", "http://127.0.0.1:4000/a?b=c", "http://127.1:4000/"] {
            assert!(permitted(&origins, url), "{url}");
        }
        for url in [
            "https://sns.example.org/a.pem",
            "http://sns.example.org:8443/a.pem",
            "http://127.0.0.1:4001/",
            "http://localhost:4000/",
            "http://a:b@127.0.0.1:4000/",
            "https://sns.eu-west-1.amazonaws.com/a.pem",
        ] {
            assert!(!permitted(&origins, url), "{url}");
        }
        for wrong in
            ["sns.example.org", "http://sns.example.org", "https://sns.example.org/a", "https://a@b.example", "ftp://a"]
        {
            assert_eq!(Origins::parse(&format!("https://a.example,{wrong}")), Err(wrong.to_owned()));
        }
    }

    #[test]
    fn regions_have_the_form_of_amazons() {
        for region in ["us-east-1", "ap-southeast-12", "us-gov-west-1", "us-iso-east-1"] {
            assert!(is_region(region), "{region}");
        }
        for other in ["", "us", "us-1", "us-east", "s3-us-west-2", "us--1", "us-east-1.evil", "US-east-1", "us-east-x"]
        {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn addresses_of_the_own_network_are_not_public() {
        let public = |text: &str| is_public(text.parse().unwrap_or_else(|_| panic!("{text}")));
        for address in
            ["52.94.5.1", "203.0.114.1", "100.128.0.1", "2600:1f18::1", "64:ff9b::345e:501", "::ffff:52.94.5.1"]
        {
            assert!(public(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }
}
