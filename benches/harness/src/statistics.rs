//! Medians and percentiles.

/// Numbers of which percentiles are asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    values: Vec<f64>,
}

impl Samples {
    pub(super) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = f64>) {
        self.values.extend(values);
    }

    /// The smallest value that so many percent of all do not exceed; 0 of none.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(super) fn median(&self) -> f64 {
        self.percentile(50.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut samples = Samples::default();
        assert_eq!(samples.median(), 0.0);
        samples.extend((1..=10).rev().map(f64::from));
        assert_eq!(samples.median(), 5.0);
        assert_eq!(samples.percentile(10.0), 1.0);
        assert_eq!(samples.percentile(90.0), 9.0);
        assert_eq!(samples.percentile(99.9), 10.0);
        samples.push(0.5);
        assert_eq!(samples.percentile(0.0), 0.5);
    }
}
