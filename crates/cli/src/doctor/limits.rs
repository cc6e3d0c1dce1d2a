//! What the system allows the server: open files, mappings, memory.
//!
//! Of a server that runs its own limits are read; without one, those of this shell, which a service
//! manager may set otherwise. Everything comes from `/proc` and `/sys`; what is not there is not judged.

use std::path::{Path, PathBuf};

use lodgepole_server::Settings;
use lodgepole_server::serve::OPEN_FILES_SPARE;

use super::folder::Files;
use super::report::{Check, bytes};

/// What was measured. What the system does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Files that the process may have open. Without a server the hard limit, which it takes.
    open_files_max: Option<u64>,
    /// Files that it has open, if it runs.
    open_files: Option<u64>,
    /// Mappings that a process may have.
    mappings_max: Option<u64>,
    /// Mappings that it has, if it runs.
    mappings: Option<u64>,
    /// Bytes that it may map in all.
    address_space_max: Option<u64>,
    /// Bytes of memory that its control group may use.
    group_memory_max: Option<u64>,
    /// Bytes of memory of the machine.
    machine_memory: Option<u64>,
}

/// Measures the limits of the server's process, or of this one when none runs.
pub(super) fn measure(server: Option<u32>) -> Limits {
    let own = server.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let folder = Path::new("/proc").join(own);
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let rows = text("limits");
    let mappings_max = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let mappings = text("maps").lines().count() as u64;
    let is_running = server.is_some();
    Limits {
        open_files_max: limit(&rows, "Max open files", is_running),
        open_files: folder
            .join("fd")
            .read_dir()
            .ok()
            .filter(|_| is_running)
            .map(|fds| fds.count() as u64),
        mappings_max: mappings_max.trim().parse().ok(),
        mappings: (is_running && mappings > 0).then_some(mappings),
        address_space_max: limit(&rows, "Max address space", true),
        group_memory_max: group_limit(&text("cgroup"), Path::new("/sys/fs/cgroup")),
        machine_memory: total_memory(&machine),
    }
}

/// A row of `/proc/<id>/limits`; none when it is unlimited.
fn limit(rows: &str, name: &str, soft: bool) -> Option<u64> {
    let row = rows.lines().find_map(|row| row.strip_prefix(name))?;
    row.split_whitespace().nth(usize::from(!soft))?.parse().ok()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

/// The least limit of a control group and those above it, of version 2 or 1.
fn group_limit(groups: &str, root: &Path) -> Option<u64> {
    let of = |line: &str| -> Option<(PathBuf, PathBuf, &'static str)> {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            return Some((root.to_owned(), root.join(path), "memory.max"));
        }
        let top = root.join("memory");
        let is_memory = controllers.split(',').any(|name| name == "memory");
        is_memory.then(|| (top.clone(), top.join(path), "memory.limit_in_bytes"))
    };
    let limits = groups.lines().filter_map(of).flat_map(|(top, group, name)| {
        let above: Vec<_> = group
            .ancestors()
            .take_while(|step| step.starts_with(&top))
            .map(|step| step.join(name))
            .collect();
        above.into_iter().filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
    });
    // Version 1 says "no limit" with nearly all bits set.
    limits.filter(|limit| *limit < u64::MAX / 4).min()
}

/// Judges the limits against what the settings and the data need.
pub(super) fn judge(limits: &Limits, settings: &Settings, files: Files) -> Vec<Check> {
    vec![
        judge_open_files(limits, settings),
        judge_mappings(limits, files),
        judge_memory(limits, settings),
        judge_address_space(limits, settings, files),
    ]
}

fn judge_open_files(limits: &Limits, settings: &Settings) -> Check {
    const NAME: &str = "open files";
    let Some(most) = limits.open_files_max else {
        return Check::ok(NAME, "no limit is known");
    };
    let wanted = u64::from(settings.connections_max) + OPEN_FILES_SPARE;
    let open = limits.open_files.map(|open| format!(", {open} are open")).unwrap_or_default();
    let found = format!("{most} allowed{open}, {wanted} wanted for connections_max and the data");
    let advice = format!(
        "raise the limit to {wanted} (LimitNOFILE= in the unit of systemd, ulimit -n, --ulimit nofile= \
         of a container), or set connections_max lower"
    );
    if limits.open_files.is_some_and(|open| open.saturating_mul(10) > most.saturating_mul(9)) {
        return Check::fail(NAME, found, advice);
    }
    if most < wanted { Check::warn(NAME, found, advice) } else { Check::ok(NAME, found) }
}

fn judge_mappings(limits: &Limits, files: Files) -> Check {
    const NAME: &str = "mappings";
    let Some(most) = limits.mappings_max else {
        return Check::ok(NAME, "no limit is known");
    };
    let used = limits.mappings.unwrap_or(files.segments);
    let found = format!("{used} of {most} (vm.max_map_count), with {} segments", files.segments);
    let advice = format!(
        "each segment is mapped, and without room searches of more fail: sysctl -w vm.max_map_count={}",
        most.saturating_mul(4)
    );
    if used > most / 10 * 9 {
        Check::fail(NAME, found, advice)
    } else if used > most / 2 {
        Check::warn(NAME, found, advice)
    } else {
        Check::ok(NAME, found)
    }
}

/// Memory that fills in ordinary work, and what may come on top of it.
fn budgets(settings: &Settings) -> (u64, u64) {
    let buffer = u64::try_from(settings.request_buffer_bytes).unwrap_or(u64::MAX);
    let ordinary = settings
        .block_cache_bytes
        .saturating_add(settings.write_buffer_bytes)
        .saturating_add(buffer);
    (ordinary, settings.tail_bytes_max.saturating_add(settings.index_batch_bytes))
}

fn judge_memory(limits: &Limits, settings: &Settings) -> Check {
    const NAME: &str = "memory";
    let Some(most) = limits.group_memory_max.into_iter().chain(limits.machine_memory).min() else {
        return Check::ok(NAME, "no limit is known");
    };
    let (ordinary, more) = budgets(settings);
    let all = ordinary.saturating_add(more);
    let whose =
        if limits.group_memory_max == Some(most) { "its control group" } else { "the machine" };
    let found = format!("{} in {whose}, budgets of {} in all", bytes(most), bytes(all));
    if ordinary > most {
        let advice = "block_cache_bytes, write_buffer_bytes and request_buffer_bytes alone are more: the \
                      kernel will kill the server. Lower them, or give it more memory";
        return Check::fail(NAME, found, advice);
    }
    if all > most / 10 * 8 {
        let advice = "with much data that is not indexed yet the kernel may kill the server; nothing \
                      acknowledged is lost by it. Lower tail_bytes_max or index_batch_bytes, or give it \
                      more memory";
        return Check::warn(NAME, found, advice);
    }
    Check::ok(NAME, found)
}

fn judge_address_space(limits: &Limits, settings: &Settings, files: Files) -> Check {
    const NAME: &str = "addresses";
    let Some(most) = limits.address_space_max else {
        return Check::ok(NAME, "unlimited");
    };
    let (ordinary, more) = budgets(settings);
    let needed = ordinary.saturating_add(more).saturating_add(files.segment_bytes);
    let found =
        format!("{} allowed, {} needed for budgets and segments", bytes(most), bytes(needed));
    let advice =
        "segments are mapped as a whole: take the limit away (ulimit -v unlimited, LimitAS=)";
    if most < needed { Check::fail(NAME, found, advice) } else { Check::warn(NAME, found, advice) }
}

#[cfg(test)]
mod tests;
