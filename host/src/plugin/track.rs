//! The tracks of the contract: which there are, which of them a host serves, and which version of sluice
//! serves what. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The version of this program, as refusals name it.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// A line of versions of `sluice:sink` that fit each other: `0.1.x` is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// `0.1.x`
    V0_1,
    /// `0.2.x`: with `state`, and import reports that say what was done.
    V0_2,
}

impl Track {
    /// Those that this program has a module for, oldest first.
    pub const ALL: [Self; 2] = [Self::V0_1, Self::V0_2];

    const fn numbers(self) -> (u64, u64) {
        match self {
            Self::V0_1 => (0, 1),
            Self::V0_2 => (0, 2),
        }
    }

    /// The first version of sluice that serves it.
    const fn since(self) -> &'static str {
        match self {
            Self::V0_1 | Self::V0_2 => "0.1.0",
        }
    }

    /// The track of a published version. A pre-release fits no other version, so it has none.
    pub fn of(version: &str) -> Option<Self> {
        let (major, minor, _) = numbers(version)?;
        Self::ALL
            .into_iter()
            .find(|track| track.numbers() == (major, minor))
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.numbers();
        write!(f, "{major}.{minor}")
    }
}

/// The tracks that a host serves; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracks(BTreeSet<Track>);

impl Default for Tracks {
    /// All that this program has.
    fn default() -> Self {
        Self(Track::ALL.into())
    }
}

impl Tracks {
    /// Those, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Track> {
        self.0.iter().copied()
    }

    /// The highest of these versions that is served.
    pub(super) fn highest<'v>(
        &self,
        versions: impl IntoIterator<Item = &'v str>,
    ) -> Option<(Track, &'v str)> {
        let served = versions.into_iter().filter_map(|version| {
            let track = Track::of(version).filter(|track| self.0.contains(track))?;
            Some((numbers(version)?, track, version))
        });
        served.max().map(|(_, track, version)| (track, version))
    }

    /// What a person does about a component for versions of which none is served.
    pub(super) fn remedy(&self, versions: &[&str]) -> String {
        let newest = self.0.last().copied().unwrap_or(Track::V0_2);
        let known = versions.iter().filter_map(|version| Track::of(version));
        if let Some(track) = known.max() {
            let since = track.since();
            return format!(
                "sluice {since} and newer serve it, unless they are told to serve other tracks \
                 (`--tracks`); or build the plugin for {newest}"
            );
        }
        let beyond = |version: &&str| {
            numbers(version).is_some_and(|(major, minor, _)| (major, minor) > newest.numbers())
        };
        match versions.iter().any(beyond) {
            true => format!(
                "Use a sluice newer than {OWN} that serves it, or build the plugin for {newest}"
            ),
            false => format!("No sluice serves it; build the plugin for {newest}"),
        }
    }
}

impl fmt::Display for Tracks {
    /// As messages name them, like `sluice:sink@0.1.x and 0.2.x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sluice:sink@")?;
        for (index, track) in self.iter().enumerate() {
            let between = match index {
                0 => "",
                n if n + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{between}{track}.x")?;
        }
        Ok(())
    }
}

impl FromStr for Tracks {
    type Err = String;

    /// Reads what an operator writes, like `0.1` or `0.1,0.2`.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::default();
        let named = text.split(',').map(str::trim).map(|name| {
            known
                .iter()
                .find(|track| track.to_string() == name)
                .ok_or_else(|| {
                    let all: Vec<_> = known.iter().map(|track| track.to_string()).collect();
                    format!(
                        "`{name}` is no track that this sluice has; it has {}",
                        all.join(" and ")
                    )
                })
        });
        named.collect::<Result<_, _>>().map(Self)
    }
}

/// The numbers of a version, if it has three and nothing behind them.
fn numbers(version: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = version.split('.').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let found = (next()?, next()?, next()?);
    numbers.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_served_if_its_track_is() {
        let (all, old) = (Tracks::default(), "0.1".parse::<Tracks>().unwrap());
        for (version, of_all, of_old) in [
            ("0.1.0", Some(Track::V0_1), Some(Track::V0_1)),
            ("0.1.17", Some(Track::V0_1), Some(Track::V0_1)),
            ("0.2.0", Some(Track::V0_2), None),
            ("0.3.0", None, None),
            ("1.1.0", None, None),
            ("0.1.0-rc.1", None, None),
            ("0.1", None, None),
            ("0.1.0.0", None, None),
            ("", None, None),
        ] {
            let found = |tracks: &Tracks| tracks.highest([version]).map(|(track, _)| track);
            assert_eq!(found(&all), of_all, "{version}");
            assert_eq!(found(&old), of_old, "{version}");
        }
    }

    #[test]
    fn of_several_the_highest_that_is_served_wins() {
        let all = Tracks::default();
        let versions = ["0.1.9", "0.2.0", "0.3.0", "0.2.10", "0.2.9"];
        assert_eq!(all.highest(versions), Some((Track::V0_2, "0.2.10")));
        let old: Tracks = "0.1".parse().unwrap();
        assert_eq!(old.highest(versions), Some((Track::V0_1, "0.1.9")));
        assert_eq!(old.highest(["0.2.0"]), None);
    }

    #[test]
    fn a_remedy_names_the_sluice_that_is_needed_as_far_as_it_is_known() {
        let (all, old) = (Tracks::default(), "0.1".parse::<Tracks>().unwrap());
        for (tracks, versions, says) in [
            (
                &old,
                vec!["0.2.0"],
                "sluice 0.1.0 and newer serve it, unless",
            ),
            (&all, vec!["0.3.0"], "a sluice newer than "),
            (&all, vec!["1.0.0"], "build the plugin for 0.2"),
            (&old, vec!["0.9.0"], "build the plugin for 0.1"),
            (&all, vec!["0.0.3"], "No sluice serves it"),
            (&all, vec!["0.2.0-rc.1"], "No sluice serves it"),
        ] {
            let remedy = tracks.remedy(&versions);
            assert!(remedy.contains(says), "{versions:?}: {remedy}");
        }
    }

    #[test]
    fn tracks_are_written_as_they_are_read() {
        let said = |text: &str| text.parse::<Tracks>().map(|tracks| tracks.to_string());
        assert_eq!(said("0.1"), Ok("sluice:sink@0.1.x".to_owned()));
        assert_eq!(
            said("0.2, 0.1"),
            Ok("sluice:sink@0.1.x and 0.2.x".to_owned())
        );
        assert_eq!("0.1,0.2".parse(), Ok(Tracks::default()));
        for wrong in ["", "0.3", "0.1.0", "0.1;0.2"] {
            assert!(said(wrong).unwrap_err().contains("0.1 and 0.2"), "{wrong}");
        }
    }
}
