//! Networks in which the names of a target must lie.
//!
//! Lives here: how a network is written, and the look-up of names that refuses an answer from outside. Does not: which
//! networks those are (`target`).

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// One network: an address, and how many of its first bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

/// Why a text names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wanted an address or a network such as 10.20.0.0/16, found `{0}`")]
pub struct NoNetwork(String);

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let wrong = || NoNetwork(text.to_owned());
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits <= most { Ok(Self { base, bits }) } else { Err(wrong()) }
    }
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                is_same(base.to_bits().into(), address.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                is_same(base.to_bits(), address.to_bits(), 128 - self.bits)
            }
            _ => false,
        }
    }
}

/// Whether two addresses are the same without their last bits.
fn is_same(one: u128, other: u128, rest: u32) -> bool {
    (one ^ other).checked_shr(rest).unwrap_or(0) == 0
}

/// The networks of a target; none named means any.
#[derive(Debug, Clone, Default)]
pub struct Networks(Arc<Vec<Network>>);

/// An address that no network of the target holds.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0} is in no network of the target")]
pub(super) struct Outside(pub(super) IpAddr);

impl FromIterator<Network> for Networks {
    fn from_iter<T: IntoIterator<Item = Network>>(networks: T) -> Self {
        Self(Arc::new(networks.into_iter().collect()))
    }
}

impl Networks {
    /// Whether any address will do.
    pub(super) fn are_any(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of these addresses that lies in none of the networks.
    pub(super) fn outside(&self, mut addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
        let holds = |address: IpAddr| self.are_any() || self.0.iter().any(|network| network.holds(address));
        addresses.find(|address| !holds(*address))
    }
}

/// An answer with one address from outside is refused whole: which of its addresses is taken is a matter of chance.
impl Resolve for Networks {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match networks.outside(found.iter().map(SocketAddr::ip)) {
                Some(address) => Err(Box::new(Outside(address)) as _),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(networks: &[&str], address: &str) -> bool {
        let networks: Networks = networks.iter().map(|text| text.parse::<Network>().unwrap()).collect();
        networks.outside(std::iter::once(address.parse().unwrap())).is_some()
    }

    #[test]
    fn a_network_holds_what_begins_as_it_does() {
        for (network, inside, beyond) in [
            ("10.20.0.0/16", "10.20.255.1", "10.21.0.0"),
            ("10.20.0.0/15", "10.21.0.0", "10.22.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1/32", "::ffff:127.0.0.1", "::1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "::1", "1.2.3.4"),
        ] {
            assert!(!outside(&[network], inside), "{inside} is in {network}");
            assert!(outside(&[network], beyond), "{beyond} is not in {network}");
        }
        assert!(!outside(&["10.0.0.0/8", "::1"], "::1"), "one of them is enough");
        assert!(!outside(&[], "203.0.113.9"), "none named means any");
    }

    #[test]
    fn what_is_no_network_is_said() {
        for text in ["", "example.test", "10.0.0.0/33", "::/129", "10.0.0.0/x", "10.0.0/8", "1.2.3.4/-1"] {
            let said = text.parse::<Network>().unwrap_err().to_string();
            assert_eq!(said, format!("wanted an address or a network such as 10.20.0.0/16, found `{text}`"));
        }
    }
}
