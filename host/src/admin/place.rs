//! Where the endpoint listens. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Where it listens if nobody says: for this machine only. The port is `slui` on a telephone's keys: not
/// one of 9100 to 9999, which exporters share out among themselves, and below those that systems
/// hand out for connections.
pub const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7584);

/// What an operator says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    Off,
    /// There. Port 0 is any that is free.
    At(SocketAddr),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("expected an address with its port, like {DEFAULT} or [::1]:7584, or `off`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_with_a_port_or_off() {
        assert_eq!("off".parse(), Ok(Place::Off));
        assert_eq!(DEFAULT.to_string().parse(), Ok(Place::At(DEFAULT)));
        assert!(matches!("[::]:0".parse(), Ok(Place::At(address)) if address.port() == 0));
        for wrong in [
            "",
            "on",
            "7584",
            "localhost:7584",
            "127.0.0.1",
            "127.0.0.1:70000",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
