//! Time and chance, which a simulation makes up.

/// Where an export gets both from.
#[derive(Clone, Debug)]
pub(super) enum Clock {
    /// From the system.
    System,
    /// From a seed.
    #[cfg(test)]
    Simulated(std::sync::Arc<super::simulation::SimulatedClock>),
}

impl Clock {
    /// Milliseconds since 1970, as the store keeps times.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => jiff::Timestamp::now().as_millisecond(),
            #[cfg(test)]
            Self::Simulated(clock) => clock.now_ms(),
        }
    }

    /// Anything in `0.0..1.0`.
    pub fn dice(&self) -> f64 {
        match self {
            Self::System => rand::random(),
            #[cfg(test)]
            Self::Simulated(clock) => clock.dice(),
        }
    }
}
