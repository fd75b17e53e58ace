//! Networks for rate counting: a client with one address of a network mostly has the others too.

use ipnet::IpNet;
use std::net::IpAddr;

/// The network of an address, as text: the /24 of IPv4 and the /56 of IPv6, about one household or site. A text that is
/// no address is a network of its own.
#[must_use]
pub fn network(address: &str) -> String {
    let Ok(address) = address.parse::<IpAddr>() else { return address.to_owned() };
    let prefix = if address.is_ipv4() { 24 } else { 56 };
    IpNet::new(address, prefix).map_or_else(|_| address.to_string(), |network| network.trunc().to_string())
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn neighbours_are_one_network() {
        assert_eq!(network("192.0.2.1"), network("192.0.2.254"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:ff::2"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:100::1"));
        assert_eq!(network("somewhere"), "somewhere");
    }
}
