//! Which addresses a request may go to: public ones, and what the operator granted. Pure.
//!
//! An address that stands for an IPv4 address (mapped, compatible, NAT64, 6to4) is judged as that
//! one; what a translator or a tunnel of this network makes of an address nobody can tell, so those
//! ranges are refused as a whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The addresses that an authorization may reach besides public ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    granted: Vec<IpNet>,
}

/// What kind of address it is that is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// "This network", or none at all.
    Unspecified,
    /// This machine.
    Loopback,
    /// A private network.
    Private,
    /// A private network of IPv6.
    UniqueLocal,
    /// This link.
    LinkLocal,
    /// Between a carrier and its customers.
    CarrierNat,
    /// Where a cloud tells its machines their credentials.
    Metadata,
    /// Many machines.
    Multicast,
    /// All machines of the link.
    Broadcast,
    /// For examples in books.
    Documentation,
    /// For measuring networks.
    Benchmark,
    /// Behind a translator or a tunnel: it may lead anywhere.
    Translated,
    /// For nobody yet.
    Reserved,
}

impl Class {
    /// With its article, for a sentence.
    fn words(self) -> &'static str {
        match self {
            Self::Unspecified => "an unspecified",
            Self::Loopback => "a loopback",
            Self::Private => "a private",
            Self::UniqueLocal => "a unique-local",
            Self::LinkLocal => "a link-local",
            Self::CarrierNat => "a carrier NAT",
            Self::Metadata => "a cloud metadata",
            Self::Multicast => "a multicast",
            Self::Broadcast => "a broadcast",
            Self::Documentation => "a documentation",
            Self::Benchmark => "a benchmark",
            Self::Translated => "a translator's or tunnel's",
            Self::Reserved => "a reserved",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} address", self.words())
    }
}

/// A name or address that nobody may connect to. It says no more than whoever asked knows already,
/// and the class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` leads to {class}; if that is meant, the operator grants it with \
     `allow_addresses = [\"{grant}\"]` in the authorization"
)]
pub struct Refused {
    /// What was asked for.
    pub name: String,
    /// What it leads to.
    pub class: Class,
    /// What to write.
    pub grant: String,
}

/// Why a text grants no addresses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// It is something else.
    #[error("`{0}` is no range of addresses; expected something like `10.1.0.0/16` or `::1`")]
    NotARange(String),
    /// Bits are set that the range leaves open.
    #[error("`{found}` is no whole range; did you mean `{range}` or `{address}`?")]
    Inexact {
        /// What was written.
        found: String,
        /// The range that it is in.
        range: IpNet,
        /// The one address.
        address: IpAddr,
    },
}

const V4: [(Ipv4Net, Class); 18] = {
    use Class as C;
    [
        (v4([0, 0, 0, 0], 8), C::Unspecified),
        (v4([10, 0, 0, 0], 8), C::Private),
        (v4([100, 64, 0, 0], 10), C::CarrierNat),
        (v4([127, 0, 0, 0], 8), C::Loopback),
        // A public address, but what answers there is the cloud that the machine is in.
        (v4([168, 63, 129, 16], 32), C::Metadata),
        (v4([169, 254, 169, 254], 32), C::Metadata),
        (v4([169, 254, 0, 0], 16), C::LinkLocal),
        (v4([172, 16, 0, 0], 12), C::Private),
        (v4([192, 0, 0, 0], 24), C::Reserved),
        (v4([192, 0, 2, 0], 24), C::Documentation),
        (v4([192, 88, 99, 0], 24), C::Translated),
        (v4([192, 168, 0, 0], 16), C::Private),
        (v4([198, 18, 0, 0], 15), C::Benchmark),
        (v4([198, 51, 100, 0], 24), C::Documentation),
        (v4([203, 0, 113, 0], 24), C::Documentation),
        (v4([224, 0, 0, 0], 4), C::Multicast),
        (v4([255, 255, 255, 255], 32), C::Broadcast),
        (v4([240, 0, 0, 0], 4), C::Reserved),
    ]
};

const V6: [(Ipv6Net, Class); 14] = {
    use Class as C;
    [
        (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), C::Unspecified),
        (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), C::Loopback),
        (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), C::Translated),
        (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), C::Translated), // Teredo
        (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), C::Benchmark),
        (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), C::Reserved),
        (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), C::Documentation),
        (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), C::Documentation),
        (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), C::Metadata),
        (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), C::UniqueLocal),
        (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), C::LinkLocal),
        (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), C::Multicast),
        // Outside of 2000::/3 nothing is public; what that leaves are two halves.
        (v6([0, 0, 0, 0, 0, 0, 0, 0], 3), C::Reserved),
        (v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2), C::Reserved),
    ]
};

/// The upper half of IPv6, but for what stands above.
const V6_UPPER: Ipv6Net = v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 1);

const fn v4(bytes: [u8; 4], length: u8) -> Ipv4Net {
    let [a, b, c, d] = bytes;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(words: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = words;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

impl Addresses {
    /// Public addresses, and those of these ranges: CIDR, or single addresses.
    ///
    /// # Errors
    /// The first text that is neither.
    pub fn granting<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, GrantError> {
        let granted = texts.into_iter().map(range).collect::<Result<_, _>>()?;
        Ok(Self { granted })
    }

    /// Whether one may connect to it.
    ///
    /// # Errors
    /// The class that nobody granted, and the range of it that this address is in.
    pub fn judge(&self, address: IpAddr) -> Result<(), (Class, IpNet)> {
        if self.granted.iter().any(|range| range.contains(&address)) {
            return Ok(());
        }
        match (class(address), embedded(address)) {
            (_, Some(v4)) => self.judge(v4.into()),
            (Some(refused), None) => Err(refused),
            (None, None) => Ok(()),
        }
    }

    /// Whether one may connect to an address that somebody wrote down.
    ///
    /// # Errors
    /// It is not granted.
    pub fn judge_literal(&self, address: IpAddr) -> Result<(), Refused> {
        self.judge(address).map_err(|(class, _)| Refused {
            name: address.to_string(),
            class,
            grant: address.to_string(),
        })
    }

    /// Of what a name leads to, that which one may connect to. A refused address among others is
    /// left out instead of refusing the name: what is never connected to does no harm, and a
    /// destination that works goes on working.
    ///
    /// # Errors
    /// None of them is granted.
    pub fn pick(&self, name: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Refused> {
        let mut refused = None;
        let mut allowed = found;
        allowed.retain(|address| match self.judge(*address) {
            Ok(()) => true,
            Err((class, range)) => {
                refused.get_or_insert_with(|| Refused {
                    name: name.to_owned(),
                    class,
                    grant: range.to_string(),
                });
                false
            }
        });
        match (allowed.is_empty(), refused) {
            (true, Some(refused)) => Err(refused),
            _ => Ok(allowed),
        }
    }
}

/// A range as an operator writes it.
fn range(text: &str) -> Result<IpNet, GrantError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let range: IpNet = text
        .parse()
        .map_err(|_| GrantError::NotARange(text.to_owned()))?;
    if range.trunc() != range {
        return Err(GrantError::Inexact {
            found: text.to_owned(),
            range: range.trunc(),
            address: range.addr(),
        });
    }
    Ok(range)
}

/// The class of an address that is not public, and the range that makes it so.
fn class(address: IpAddr) -> Option<(Class, IpNet)> {
    match address {
        IpAddr::V4(address) => V4
            .iter()
            .find(|(range, _)| range.contains(&address))
            .map(|(range, class)| (*class, IpNet::V4(*range))),
        IpAddr::V6(address) => V6
            .iter()
            .chain([&(V6_UPPER, Class::Reserved)])
            .find(|(range, _)| range.contains(&address))
            .map(|(range, class)| (*class, IpNet::V6(*range))),
    }
}

/// The IPv4 address that an IPv6 address stands for.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0] if g == 0 && h <= 1 => None,
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(v4(g, h)),
        [0x2002, ..] => Some(v4(b, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(addresses: &Addresses, text: &str) -> Option<Class> {
        let address = text.parse().unwrap();
        addresses.judge(address).err().map(|(class, _)| class)
    }

    #[test]
    fn only_public_addresses_need_no_grant() {
        use Class as C;
        let none = Addresses::default();
        for (address, class) in [
            ("8.8.8.8", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("192.167.255.255", None),
            ("223.255.255.255", None),
            ("2606:4700::1111", None),
            ("2a00:1450:4001::200e", None),
            ("::ffff:8.8.8.8", None),
            ("64:ff9b::808:808", None),
            ("2002:808:808::1", None),
            ("0.0.0.0", Some(C::Unspecified)),
            ("0.1.2.3", Some(C::Unspecified)),
            ("10.255.0.1", Some(C::Private)),
            ("100.64.0.1", Some(C::CarrierNat)),
            ("100.100.100.200", Some(C::CarrierNat)),
            ("127.0.0.1", Some(C::Loopback)),
            ("127.255.255.254", Some(C::Loopback)),
            ("169.254.1.1", Some(C::LinkLocal)),
            ("169.254.169.254", Some(C::Metadata)),
            ("168.63.129.16", Some(C::Metadata)),
            ("172.16.0.1", Some(C::Private)),
            ("172.31.255.255", Some(C::Private)),
            ("192.0.0.192", Some(C::Reserved)),
            ("192.0.2.7", Some(C::Documentation)),
            ("192.88.99.1", Some(C::Translated)),
            ("192.168.0.1", Some(C::Private)),
            ("198.19.255.255", Some(C::Benchmark)),
            ("198.51.100.1", Some(C::Documentation)),
            ("203.0.113.1", Some(C::Documentation)),
            ("224.0.0.1", Some(C::Multicast)),
            ("239.255.255.255", Some(C::Multicast)),
            ("240.0.0.1", Some(C::Reserved)),
            ("255.255.255.255", Some(C::Broadcast)),
            ("::", Some(C::Unspecified)),
            ("::1", Some(C::Loopback)),
            // Each in IPv4's clothes.
            ("::127.0.0.1", Some(C::Loopback)),
            ("::ffff:127.0.0.1", Some(C::Loopback)),
            ("::ffff:169.254.169.254", Some(C::Metadata)),
            ("::ffff:0.0.0.0", Some(C::Unspecified)),
            ("64:ff9b::a00:1", Some(C::Private)),
            ("64:ff9b::a9fe:a9fe", Some(C::Metadata)),
            ("2002:7f00:1::", Some(C::Loopback)),
            ("2002:c0a8:1::1", Some(C::Private)),
            ("64:ff9b:1::808:808", Some(C::Translated)),
            ("2001:0:53aa:64c:0:fbff:f7f7:f7f7", Some(C::Translated)),
            ("2001:2::1", Some(C::Benchmark)),
            ("2001:20::1", Some(C::Reserved)),
            ("2001:db8::1", Some(C::Documentation)),
            ("3fff:fff::1", Some(C::Documentation)),
            ("fd00:ec2::254", Some(C::Metadata)),
            ("fd00::1", Some(C::UniqueLocal)),
            ("fc00::1", Some(C::UniqueLocal)),
            ("fe80::1", Some(C::LinkLocal)),
            ("febf::1", Some(C::LinkLocal)),
            ("fec0::1", Some(C::Reserved)),
            ("ff02::1", Some(C::Multicast)),
            ("100::1", Some(C::Reserved)),
            ("5f00::1", Some(C::Reserved)),
            ("::fffe:808:808", Some(C::Reserved)),
            ("8000::1", Some(C::Reserved)),
        ] {
            assert_eq!(judged(&none, address), class, "{address}");
        }
    }

    #[test]
    fn a_grant_opens_its_range_and_no_other() {
        let granted = Addresses::granting(["10.1.0.0/16", "::1", "fd00::/8"]).unwrap();
        for (address, open) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::a01:203", true),
            ("10.2.0.1", false),
            ("::1", true),
            ("127.0.0.1", false),
            ("fd12::1", true),
            ("fd00:ec2::254", true),
            ("fc00::1", false),
        ] {
            assert_eq!(judged(&granted, address).is_none(), open, "{address}");
        }
        // A grant of a translator's own addresses is one of whatever they lead to.
        let translated = Addresses::granting(["64:ff9b::/96"]).unwrap();
        assert_eq!(judged(&translated, "64:ff9b::7f00:1"), None);
    }

    #[test]
    fn what_grants_nothing_is_told_with_what_was_meant() {
        let error = |text| Addresses::granting([text]).unwrap_err().to_string();
        assert!(error("10.1.2.3/16").contains("did you mean `10.1.0.0/16` or `10.1.2.3`?"));
        for text in ["localhost", "10.0.0", "10.0.0.0/33", "", "127.0.0.1:80"] {
            assert!(error(text).contains("no range of addresses"), "{text}");
        }
    }

    #[test]
    fn of_a_names_addresses_only_the_allowed_are_used() {
        let none = Addresses::default();
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let picked = none.pick("a.test", all(&["10.0.0.1", "8.8.8.8", "::1"]));
        assert_eq!(picked, Ok(all(&["8.8.8.8"])));
        let refused = none.pick("a.test", all(&["10.0.0.1", "::1"])).unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains("`a.test` leads to a private address"),
            "{said}"
        );
        assert!(
            said.contains("`allow_addresses = [\"10.0.0.0/8\"]`"),
            "{said}"
        );
        assert!(!said.contains("10.0.0.1"), "{said}");
        assert_eq!(none.pick("a.test", vec![]), Ok(vec![]));
    }
}
