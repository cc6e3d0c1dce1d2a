//! A line about the machine, for figures that are quoted.

/// Processor, cores, memory, kernel, version of this program.
pub(super) fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
        value.unwrap_or("unknown").to_owned()
    };
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "Machine: {processor}, {cores} cores, {memory} of memory, Linux {}, local disk with \
         fsync. Lodgepole {}.",
        kernel.trim(),
        env!("CARGO_PKG_VERSION")
    )
}
