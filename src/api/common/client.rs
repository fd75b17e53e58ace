//! Origin of a request, as far as it can be known.

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use uuid::Uuid;

/// Longest `User-Agent` that is recorded, in characters.
const USER_AGENT_LENGTH_MAX: usize = 512;
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Name of the header that carries the request id, both ways.
pub const REQUEST_ID: &str = "x-request-id";

/// The caller's request id, if it is a UUID.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> Option<Uuid> {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    sent.and_then(|text| Uuid::parse_str(text).ok())
}

/// The `User-Agent` without control characters, truncated.
#[must_use]
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    let sent = String::from_utf8_lossy(headers.get(USER_AGENT)?.as_bytes());
    let kept: String = sent.chars().filter(|c| !c.is_control()).take(USER_AGENT_LENGTH_MAX).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// The client's address: the peer's, or the one named by a chain of trusted proxies.
///
/// Each proxy appends the address it was called from, so the list is read from its end and only as far as its writers
/// are trusted. Any client could have sent the entries further left.
#[must_use]
pub fn address(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let trusts = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut address = peer?.to_canonical();
    let sent: Vec<_> = headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    for entry in sent.iter().rev().flat_map(|value| value.rsplit(',')) {
        if !trusts(&address) {
            break;
        }
        let Some(named) = parse(entry.trim()) else { break };
        address = named.to_canonical();
    }
    Some(address)
}

/// An address as proxies write it: bare, or with a port.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn forwarded(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (FORWARDED_FOR.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn from(peer: &str, values: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        address(Some(peer.parse().unwrap()), &forwarded(values), &trusted).unwrap().to_string()
    }

    #[test]
    fn a_stranger_cannot_name_another_address() {
        assert_eq!(from("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        assert_eq!(from("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
    }

    #[test]
    fn only_addresses_written_by_trusted_proxies_count() {
        assert_eq!(from("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["203.0.113.9, unknown"]), "10.0.0.1");
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_same() {
        assert_eq!(from("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn a_user_agent_loses_control_characters_and_its_tail() {
        let agent =
            |text: &[u8]| user_agent(&[(USER_AGENT, HeaderValue::from_bytes(text).unwrap())].into_iter().collect());
        assert_eq!(agent(b"curl\t8.5"), Some("curl8.5".to_owned()));
        assert_eq!(agent(&[b'a'; 600]).unwrap().len(), 512);
        assert_eq!(agent(b""), None);
    }

    #[test]
    fn a_request_id_is_a_uuid() {
        let sent = |text: &'static str| {
            let headers = [(REQUEST_ID.parse().unwrap(), HeaderValue::from_static(text))].into_iter().collect();
            request_id(&headers)
        };
        let id = sent("C182ED73-7b78-4d27-a14b-e30acf7f4104").map(|id| id.to_string());
        assert_eq!(id.as_deref(), Some("c182ed73-7b78-4d27-a14b-e30acf7f4104"));
        assert_eq!(sent("'; drop table"), None);
    }
}
