//! Networks: ranges of IP addresses that origins may have for a host.

use alloc::{boxed::Box, string::ToString, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    origin::{Origin, is_http},
    pattern::PortPattern,
    table::{ByteMap, Records},
};

/// The schemes of a [`Network`], whose hosts may be addresses.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NetworkScheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl NetworkScheme {
    /// The scheme as an origin writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            NetworkScheme::Http => "http",
            NetworkScheme::Https => "https",
        }
    }

    /// The port that an origin of this scheme does not write.
    pub fn default_port(self) -> u16 {
        match self {
            NetworkScheme::Http => 80,
            NetworkScheme::Https => 443,
        }
    }
}

/// An entry of a policy's list of allowed origins: the origins of one scheme whose
/// host is an IP address of one network.
///
/// It prints as a policy file writes it:
/// `{ network = "192.168.0.0/16", scheme = "http", port = "*" }`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
    scheme: NetworkScheme,
    port: PortPattern,
}

/// Why an address and a length of its prefix are not a [`Network`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NetworkError {
    /// Occurs when the text is not an address, a slash and a number.
    Form,
    /// Occurs when the prefix is longer than the address: 32 or 128 bits.
    Prefix,
    /// Occurs when bits of the address are set behind the prefix; this is the
    /// network that contains the address.
    HostBits(IpAddr),
}

impl Network {
    /// Parses an address and the length of its prefix in CIDR notation, such as
    /// `10.0.0.0/8` or `fd00::/8`.
    pub fn parse_range(text: &str) -> Result<(IpAddr, u8), NetworkError> {
        let (address, prefix) =
            text.split_once('/').ok_or(NetworkError::Form)?;
        let address: IpAddr =
            address.parse().map_err(|_| NetworkError::Form)?;
        let digits = !prefix.is_empty()
            && prefix.len() <= 3
            && prefix.bytes().all(|b| b.is_ascii_digit())
            && (prefix == "0" || !prefix.starts_with('0'));
        if !digits {
            return Err(NetworkError::Form);
        }
        let prefix: u16 = prefix.parse().map_err(|_| NetworkError::Form)?;
        match u8::try_from(prefix).ok().filter(|p| *p <= bits_of(address)) {
            Some(prefix) => Ok((address, prefix)),
            None => Err(NetworkError::Prefix),
        }
    }

    /// The origins of a scheme and port whose host is an address of a network.
    /// [`PortPattern::Number`] with the scheme's default port is that of no
    /// origin, as browsers leave it out.
    pub fn new(
        (address, prefix): (IpAddr, u8),
        scheme: NetworkScheme,
        port: PortPattern,
    ) -> Result<Network, NetworkError> {
        if prefix > bits_of(address) {
            return Err(NetworkError::Prefix);
        }
        let network = masked(address, prefix);
        match network == address {
            true => Ok(Network { address, prefix, scheme, port }),
            false => Err(NetworkError::HostBits(network)),
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> NetworkScheme {
        self.scheme
    }

    /// The ports that are matched.
    pub fn port(&self) -> PortPattern {
        self.port
    }

    /// The first address, and the number of bits that all addresses share with it.
    pub fn range(&self) -> (IpAddr, u8) {
        (self.address, self.prefix)
    }

    /// Whether pages of these origins can be altered in transit: they are plain
    /// http, and not all on the user's own machine.
    pub fn is_insecure(&self) -> bool {
        let loopback = match self.address {
            IpAddr::V4(address) => address.is_loopback() && self.prefix >= 8,
            IpAddr::V6(address) => address.is_loopback() && self.prefix == 128,
        };
        self.scheme == NetworkScheme::Http && !loopback
    }

    /// The network of this shorter prefix that contains this one.
    #[must_use]
    pub fn widen(&self, prefix: u8) -> Option<Network> {
        if prefix > self.prefix {
            return None;
        }
        let address = masked(self.address, prefix);
        Some(Network { address, prefix, ..*self })
    }

    /// The same network with other ports.
    #[must_use]
    pub fn with_port(&self, port: PortPattern) -> Network {
        Network { port, ..*self }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Network { address, prefix, scheme, port } = self;
        let scheme = scheme.as_str();
        write!(
            f,
            "{{ network = \"{address}/{prefix}\", scheme = \"{scheme}\""
        )?;
        match port {
            PortPattern::Default => f.write_str(" }"),
            PortPattern::Number(port) => write!(f, ", port = {port} }}"),
            PortPattern::Any => f.write_str(", port = \"*\" }"),
        }
    }
}

fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address without the bits behind its prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask =
                u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into()));
            Ipv4Addr::from(u32::from(v4) & mask.unwrap_or(0)).into()
        }
        IpAddr::V6(v6) => {
            let mask =
                u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into()));
            Ipv6Addr::from(u128::from(v6) & mask.unwrap_or(0)).into()
        }
    }
}

/// The address that is the host of an origin.
fn address_of(origin: &Origin<'_>) -> Option<IpAddr> {
    if !is_http(origin.scheme()) {
        return None;
    }
    let host = origin.host();
    let address = match host {
        [b'[', inside @ .., b']'] => inside,
        // An address ends in a digit, and most names do not.
        [.., b'0'..=b'9'] => host,
        _ => return None,
    };
    core::str::from_utf8(address).ok()?.parse().ok()
}

/// What a network is looked up by: its address, the length of its prefix, its scheme
/// and its port.
type Key = [u8; 22];

fn key(
    address: IpAddr,
    prefix: u8,
    scheme: NetworkScheme,
    port: PortPattern,
) -> Key {
    let bits = bits_of(address);
    let address = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let (port, any) = match port {
        PortPattern::Default => (0, 0),
        PortPattern::Number(number) => (number, 0),
        PortPattern::Any => (0, 1),
    };
    let mut key = [0; 22];
    let (front, back) = key.split_at_mut(16);
    front.copy_from_slice(&address.octets());
    back.copy_from_slice(&[
        prefix,
        bits,
        scheme as u8,
        any,
        (port >> 8) as u8,
        port as u8,
    ]);
    key
}

/// The networks of a list, found by hash: a look-up asks once for each length of a
/// prefix that there is, whatever the number of networks.
#[derive(Debug)]
pub(crate) struct Networks {
    map: ByteMap,
    /// The lengths of prefixes, each with the bits of its addresses.
    lengths: Vec<(u8, u8)>,
    /// Each entry as it was written, the lowest rule first.
    texts: Vec<(u32, Box<str>)>,
    /// The lowest rule among them.
    pub(crate) lowest: u32,
}

impl Networks {
    /// `networks` come by their rules, the lowest first. `None` if they are too
    /// many.
    pub(crate) fn new(networks: &[(u32, Network)]) -> Option<Networks> {
        let mut records = Records::default();
        let mut lengths = Vec::new();
        let mut texts = Vec::with_capacity(networks.len());
        for (rule, network) in networks {
            let Network { address, prefix, scheme, port } = *network;
            records.push(*rule, &key(address, prefix, scheme, port));
            let length = (prefix, bits_of(address));
            if !lengths.contains(&length) {
                lengths.push(length);
            }
            texts.push((*rule, network.to_string().into()));
        }
        Some(Networks {
            map: ByteMap::new(records)?,
            lengths,
            lowest: networks.first().map_or(u32::MAX, |(rule, _)| *rule),
            texts,
        })
    }

    /// The entry at `rule`, as a policy file writes it.
    pub(crate) fn text(&self, rule: u32) -> Option<&str> {
        let found = self.texts.iter().find(|(at, _)| *at == rule);
        found.map(|(_, text)| &**text)
    }

    /// The lowest rule below `limit` whose network contains the origin's host.
    pub(crate) fn find(&self, origin: &Origin<'_>, limit: u32) -> Option<u32> {
        if self.lowest >= limit {
            return None;
        }
        let address = address_of(origin)?;
        let scheme = match origin.scheme() {
            b"https" => NetworkScheme::Https,
            _ => NetworkScheme::Http,
        };
        let port = match origin.port() {
            None => PortPattern::Default,
            Some(number) => PortPattern::Number(number),
        };
        let mut best = limit;
        for &(prefix, bits) in &self.lengths {
            if bits != bits_of(address) {
                continue;
            }
            let network = masked(address, prefix);
            for port in [port, PortPattern::Any] {
                let key = key(network, prefix, scheme, port);
                if let Some((rule, _)) = self.map.get(&key) {
                    best = best.min(rule);
                }
            }
        }
        (best < limit).then_some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pattern::OriginPattern, policy::Policy, request::Request};
    use alloc::format;

    fn network(
        range: &str,
        scheme: NetworkScheme,
        port: PortPattern,
    ) -> Network {
        Network::new(Network::parse_range(range).unwrap(), scheme, port)
            .unwrap()
    }

    fn rule(policy: &Policy, origin: &str) -> Option<u32> {
        let lines: &[&[u8]] = &[origin.as_bytes()];
        let mut request = Request::new(b"GET");
        request.origin = lines;
        policy.decide(&request).rule()
    }

    #[test]
    fn reads_ranges() {
        for (text, error) in [
            ("10.0.0.0", NetworkError::Form),
            ("10.0.0.0/", NetworkError::Form),
            ("10.0.0/8", NetworkError::Form),
            ("10.0.0.0/08", NetworkError::Form),
            ("10.0.0.0/+8", NetworkError::Form),
            ("10.0.0.0/8/8", NetworkError::Form),
            ("[fd00::]/8", NetworkError::Form),
            ("example.com/8", NetworkError::Form),
            ("10.0.0.0/33", NetworkError::Prefix),
            ("fd00::/129", NetworkError::Prefix),
            ("fd00::/999", NetworkError::Prefix),
        ] {
            assert_eq!(Network::parse_range(text), Err(error), "{text}");
        }
        let range = Network::parse_range("10.1.2.3/8").unwrap();
        let error = Network::new(range, NetworkScheme::Http, PortPattern::Any);
        let masked = "10.0.0.0".parse().unwrap();
        assert_eq!(error, Err(NetworkError::HostBits(masked)));
    }

    #[test]
    fn the_lowest_entry_is_the_rule() {
        use NetworkScheme::{Http, Https};
        use PortPattern::{Any, Default, Number};
        let exact = |text| OriginPattern::parse(text).unwrap();
        let policy = Policy::builder()
            .allow_origin(exact("http://10.0.0.1"))
            .allow_network(network("10.0.0.0/8", Http, Default))
            .allow_network(network("10.1.0.0/16", Http, Any))
            .allow_network(network("10.0.0.0/8", Http, Any))
            .allow_origin(exact("http://10.2.3.4:8080"))
            .allow_network(network("fd00::/8", Https, Number(8443)))
            .allow_network(network("0.0.0.0/0", Https, Default))
            .allow_network(network("::/0", Https, Default))
            .allow_origin(exact("http://10.0.0.2:*"))
            .build()
            .unwrap();
        for (origin, expected) in [
            ("http://10.0.0.1", Some(0)),
            ("http://10.0.0.2", Some(1)),
            ("http://10.1.0.0", Some(1)),
            ("http://10.1.255.255:81", Some(2)),
            ("http://10.2.0.0:81", Some(3)),
            ("http://10.2.3.4:8080", Some(3)),
            ("http://11.0.0.0", None),
            ("http://9.255.255.255", None),
            ("https://10.0.0.1", Some(6)),
            ("https://10.0.0.1:8443", None),
            ("https://[fd00::1]:8443", Some(5)),
            ("https://[fd00::1]", Some(7)),
            ("https://[fe00::1]:8443", None),
            ("https://[::ffff:a00:1]", Some(7)),
            ("http://[fd00::1]:8443", None),
            ("http://10.example.com", None),
            ("app://10.0.0.2", None),
        ] {
            assert_eq!(rule(&policy, origin), expected, "{origin}");
        }
        assert_eq!(
            policy.rule_text(5),
            Some("{ network = \"fd00::/8\", scheme = \"https\", port = 8443 }")
        );
    }

    #[test]
    fn loopback_is_secure() {
        use NetworkScheme::{Http, Https};
        let port = PortPattern::Any;
        for (range, scheme, insecure) in [
            ("127.0.0.0/8", Http, false),
            ("127.1.0.0/16", Http, false),
            ("126.0.0.0/7", Http, true),
            ("::1/128", Http, false),
            ("::/127", Http, true),
            ("10.0.0.0/8", Http, true),
            ("10.0.0.0/8", Https, false),
        ] {
            let network = network(range, scheme, port);
            assert_eq!(network.is_insecure(), insecure, "{range}");
        }
    }

    #[test]
    fn widens_to_shorter_prefixes() {
        let own = network("10.1.0.0/16", NetworkScheme::Http, PortPattern::Any);
        let wider =
            network("10.0.0.0/8", NetworkScheme::Http, PortPattern::Any);
        assert_eq!(own.widen(8), Some(wider));
        assert_eq!(own.widen(16), Some(own));
        assert_eq!(own.widen(17), None);
        assert_eq!(own.widen(64), None);
        assert_eq!(own.widen(0).unwrap().range().1, 0);
    }

    #[test]
    fn prints_as_it_is_written() {
        let network =
            network("192.168.0.0/16", NetworkScheme::Http, PortPattern::Any);
        assert_eq!(
            format!("{network}"),
            "{ network = \"192.168.0.0/16\", scheme = \"http\", port = \"*\" }"
        );
    }
}
