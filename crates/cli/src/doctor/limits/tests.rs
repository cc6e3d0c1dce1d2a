//! Goal: each limit that is too low for the settings or the data is told. Method: what the kernel
//! writes, by hand, and this process.
use lodgepole_storage::files::{self, Readers};

use super::super::report::Verdict::{self, Fail, Ok as Good, Warn};
use super::*;

const GIB: u64 = 1 << 30;

fn verdicts(limits: Limits, files: Files) -> Vec<Verdict> {
    let checks = judge(&limits, &Settings::default(), files);
    assert!(checks.iter().all(|check| check.advice.is_some() == (check.verdict != Good)));
    checks.iter().map(|check| check.verdict).collect()
}

#[test]
fn what_is_not_known_is_not_judged() {
    assert_eq!(verdicts(Limits::default(), Files::default()), [Good; 4]);
}

#[test]
fn limits_are_compared_with_settings_and_data() {
    let good = Limits {
        open_files_max: Some(14_096),
        open_files: Some(12_000),
        mappings_max: Some(65_530),
        mappings: Some(32_765),
        address_space_max: None,
        group_memory_max: None,
        machine_memory: Some(16 * GIB),
    };
    let none = Files::default();
    assert_eq!(verdicts(good, none), [Good; 4]);
    let few = Limits { open_files_max: Some(14_095), ..good };
    assert_eq!(verdicts(few, none)[0], Warn);
    assert_eq!(verdicts(Limits { open_files: Some(12_800), ..good }, none)[0], Fail);
    assert_eq!(verdicts(Limits { mappings: Some(32_766), ..good }, none)[1], Warn);
    assert_eq!(verdicts(Limits { mappings: Some(58_978), ..good }, none)[1], Fail);
    let segments = Files { segments: 60_000, segment_bytes: 100 * GIB, newest: None };
    assert_eq!(verdicts(Limits { mappings: None, ..good }, segments)[1], Fail, "without a server");
    // The budgets are 3 * 256 MiB, and 4.5 GiB on top.
    let memory = |most| verdicts(Limits { group_memory_max: Some(most), ..good }, none)[2];
    assert_eq!([7 * GIB, 6 * GIB, 768 << 20, 767 << 20].map(memory), [Good, Warn, Warn, Fail]);
    let space = |most| verdicts(Limits { address_space_max: Some(most), ..good }, segments)[3];
    assert_eq!([200 * GIB, 100 * GIB].map(space), [Warn, Fail]);
}

#[test]
fn limits_are_read_from_what_the_kernel_writes() {
    let rows = "Limit                     Soft Limit           Hard Limit           Units\n\
                Max open files            1024                 524288               files\n\
                Max address space         unlimited            unlimited            bytes\n";
    assert_eq!(limit(rows, "Max open files", true), Some(1_024));
    assert_eq!(limit(rows, "Max open files", false), Some(524_288));
    assert_eq!(limit(rows, "Max address space", true), None);
    assert_eq!(total_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
    let own = measure(None);
    assert!(own.open_files_max > Some(0) && own.machine_memory > Some(0), "{own:?}");
    let as_server = measure(Some(std::process::id()));
    assert!(as_server.open_files > Some(2) && as_server.mappings > Some(5), "{as_server:?}");
}

#[test]
fn the_least_limit_of_the_control_groups_counts() {
    let root = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = root.path().join(name);
        files::create_folder(path.parent().unwrap()).unwrap();
        files::replace(&path, text.as_bytes(), Readers::Owner).unwrap();
    };
    let of = |groups: &str| group_limit(groups, root.path());
    assert_eq!(of("0::/a/b\n"), None);
    put("a/b/memory.max", "max\n");
    put("a/memory.max", "1000\n");
    assert_eq!(of("0::/a/b\n"), Some(1_000), "that of the group above");
    put("a/b/memory.max", "500\n");
    assert_eq!(of("0::/a/b\n"), Some(500));
    put("memory/c/memory.limit_in_bytes", "700\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_eq!(of("5:cpu:/c\n4:memory:/c\n"), Some(700));
    assert_eq!(of("4:memory:/\n"), None);
}
