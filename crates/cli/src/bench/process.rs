//! What the kernel tells about a process.

use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Ticks per second in `/proc`: 100 for every program on Linux, whatever the kernel counts in.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process so far, in the kernel and out of it.
pub(super) fn processor_time(process_id: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process_id}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // Behind the name, which stands in brackets and may hold spaces, comes the third field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: Vec<u32> = fields.filter_map(|field| field.parse().ok()).collect();
    ensure!(ticks.len() == 2, "{path} is not as expected");
    Ok(TICK * ticks.iter().sum())
}

#[cfg(test)]
mod tests {
    //! Goal: the time read is the time used. Method: this process, before and after some work.
    use super::*;

    #[test]
    fn processor_time_grows_with_work() {
        let me = std::process::id();
        let before = processor_time(me).unwrap();
        let mut rounds = 0_u64;
        while processor_time(me).unwrap() < before + Duration::from_millis(50) {
            rounds += 1;
            assert!(rounds < 10_000_000, "it does not grow");
        }
    }
}
