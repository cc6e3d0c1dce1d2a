//! What the doctor says: one line for each check, and under it what to do.

use std::process::ExitCode;

use serde::Serialize;

use crate::output::say;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but may not for long, or promises less than it seems to.
    Warn,
    /// It does not work.
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at.
    pub(super) check: &'static str,
    /// How it came out.
    pub(super) verdict: Verdict,
    /// What was measured.
    pub(super) found: String,
    /// What to do; there is always something unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Check {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    pub(super) fn warn(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (found, advice) = (found.into(), Some(advice.into()));
        Self { check, verdict: Verdict::Warn, found, advice }
    }

    pub(super) fn fail(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(check, found, advice) }
    }

    fn lines(&self) -> String {
        let mut lines = format!("{:<4}  {:<12}  {}", self.verdict.word(), self.check, self.found);
        if let Some(advice) = &self.advice {
            lines.push_str(&format!("\n{:20}-> {advice}", ""));
        }
        lines
    }
}

/// All checks of a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn add(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.checks.extend(checks);
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    fn summary(&self) -> String {
        let [ok, warn, fail] = [Verdict::Ok, Verdict::Warn, Verdict::Fail].map(|v| self.count(v));
        format!("{} checks: {ok} ok, {warn} warn, {fail} FAIL", self.checks.len())
    }

    /// Prints it; the exit code says whether something failed.
    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<ExitCode> {
        if as_json {
            say(&serde_json::to_string_pretty(self)?);
        } else {
            for check in &self.checks {
                say(&check.lines());
            }
            say(&self.summary());
        }
        let has_failed = self.count(Verdict::Fail) > 0;
        Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// Bytes for a person.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in UNITS {
        let tenths = (u128::from(count) * 10) >> shift;
        if tenths >= 10 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} bytes")
}

/// A span for a person, in the largest unit that fits twice.
pub(super) fn span(seconds: u64) -> String {
    for (unit, length) in [("days", 86_400), ("hours", 3_600), ("minutes", 60)] {
        if seconds >= 2 * length {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} seconds")
}

/// The first names of a list, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: lines that can be read and searched, and an exit code that can be relied on. Method:
    //! checks by hand.
    use super::*;

    #[test]
    fn a_check_is_a_line_and_what_to_do_is_under_it() {
        assert_eq!(Check::ok("space", "9.0 GiB free").lines(), "ok    space         9.0 GiB free");
        let lines = Check::fail("ports", "5080 is taken", "free it").lines();
        assert_eq!(lines, "FAIL  ports         5080 is taken\n                    -> free it");
    }

    #[test]
    fn only_a_failure_is_a_failure() {
        let mut report = Report::default();
        report.add([Check::ok("a", ""), Check::warn("b", "", "c")]);
        assert_eq!(report.print(false).unwrap(), ExitCode::SUCCESS);
        report.add([Check::fail("d", "", "e")]);
        assert_eq!(report.print(true).unwrap(), ExitCode::FAILURE);
        assert_eq!(report.summary(), "3 checks: 1 ok, 1 warn, 1 FAIL");
    }

    #[test]
    fn sizes_spans_and_lists_are_short() {
        assert_eq!([1, 1 << 10, 3 << 29].map(bytes), ["1 bytes", "1.0 KiB", "1.5 GiB"]);
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
        assert_eq!(
            [1, 119, 120, 7_200, 200_000].map(span)[1..],
            ["119 seconds", "2 minutes", "2 hours", "2 days"]
        );
        let names: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(listed(&names), "0, 1, 2, 3, 4, 5, 6, 7 and 2 more");
        assert_eq!(listed(&names[..1]), "0");
    }
}
