//! Rules that the settings must keep, each with the settings that it is about.

use std::ops::RangeInclusive;

use super::{Config, SETTINGS, Secret, Setting, traces};

/// Names of settings, and the rule that they break.
type Broken = (Vec<&'static str>, String);

impl Config {
    /// Returns the rules that the settings break.
    pub(super) fn broken_rules(&self) -> Vec<Broken> {
        let mut broken = Vec::new();
        for (setting, numbers) in SETTINGS.iter().zip(self.numbers()) {
            if let Some(bounds) = &setting.bounds
                && !numbers.iter().all(|number| bounds.contains(number))
            {
                broken.push((vec![setting.name], must_be(bounds)));
            }
        }
        let mut rule = |names: &[&'static str], is_broken: bool, rule: &str| {
            if is_broken {
                broken.push((names.to_vec(), rule.to_owned()));
            }
        };
        rule(
            &["tls_cert", "tls_key"],
            self.tls_cert.is_some() != self.tls_key.is_some(),
            "must be set together",
        );
        rule(
            &["tls_names", "tls_cert"],
            self.tls_cert.is_some() && !self.tls_names.0.is_empty(),
            "cannot be combined",
        );
        rule(
            &["secret_key", "secret_key_file"],
            self.secret_key.is_some() && self.secret_key_file.is_some(),
            "cannot be combined",
        );
        let is_short = |Secret(password): &Secret| password.chars().count() < 10;
        rule(
            &["admin_password"],
            self.admin_password.as_ref().is_some_and(is_short),
            "must have at least 10 characters",
        );
        let is_known = |Secret(url): &Secret| {
            let mut schemes = ["sqlite:", "postgres:", "postgresql:"].iter();
            schemes.any(|scheme| url.starts_with(scheme))
        };
        rule(
            &["database_url"],
            !self.database_url.as_ref().is_none_or(is_known),
            "must start with sqlite: or postgres:",
        );
        let is_https = |url: &String| url.starts_with("https://");
        rule(
            &["public_url"],
            !self.public_url.as_ref().is_none_or(is_https),
            "must start with https://",
        );
        let is_base_url = |url: &String| traces::is_base_url(url);
        rule(
            &["otlp_endpoint"],
            !self.otlp_endpoint.as_ref().is_none_or(is_base_url),
            "must be a base URL such as http://127.0.0.1:4318, without credentials and query",
        );
        self.check_drivers(&mut broken);
        broken
    }

    /// Checks the limits of drivers whose bounds are other settings.
    fn check_drivers(&self, broken: &mut Vec<Broken>) {
        let is_named =
            |broken: &[Broken], name: &str| broken.iter().any(|(names, _)| names == &[name]);
        let wall_time_ms = self.driver_cpu_time_ms..=60_000;
        if !wall_time_ms.contains(&self.driver_wall_time_ms)
            && !is_named(broken, "driver_wall_time_ms")
            && !is_named(broken, "driver_cpu_time_ms")
        {
            broken.push((vec!["driver_wall_time_ms"], must_be(&wall_time_ms)));
        }
        if self.driver_tenant_queue_max > self.driver_queue_max
            && !is_named(broken, "driver_tenant_queue_max")
            && !is_named(broken, "driver_queue_max")
        {
            let queue = 1..=self.driver_queue_max as u64;
            broken.push((vec!["driver_tenant_queue_max"], must_be(&queue)));
        }
    }
}

impl Setting {
    /// Returns the lowest and the highest value as text.
    pub fn range(&self) -> Option<String> {
        let bounds = self.bounds.as_ref()?;
        Some(format!("from {} to {}", bounds.start(), bounds.end()))
    }
}

fn must_be(bounds: &RangeInclusive<u64>) -> String {
    format!("must be from {} to {}", bounds.start(), bounds.end())
}
