//! What an absent `probe` field means: the operator's defaults.

use std::time::Duration;

/// The operator's defaults and bounds; the values are those of the documentation where no flag
/// changes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeDefaults {
    /// `--default-period-seconds`.
    pub period: Duration,
    /// `--default-timeout-seconds`; an absent timeout is never longer than the period.
    pub timeout: Duration,
    /// `--default-failure-threshold`.
    pub failure_threshold: u32,
    /// `--default-success-threshold`.
    pub success_threshold: u32,
    /// `--default-latency-threshold-milliseconds`.
    pub latency_threshold: Duration,
    /// `--default-path` of an `http` probe.
    pub path: String,
    /// `--min-period-seconds`: a shorter period is not accepted.
    pub min_period: Duration,
    /// `--certificate-expiry-days`: a certificate that ends sooner is worth a look.
    pub certificate_expiry: Duration,
}

impl Default for ProbeDefaults {
    fn default() -> Self {
        ProbeDefaults {
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(3),
            failure_threshold: 3,
            success_threshold: 1,
            latency_threshold: Duration::from_secs(1),
            path: "/health".to_owned(),
            min_period: Duration::from_secs(1),
            certificate_expiry: Duration::from_hours(14 * 24),
        }
    }
}
