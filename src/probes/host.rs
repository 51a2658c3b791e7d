//! Processor and memory of the host, from Linux's `/proc`.

use std::path::Path;

/// Processor time since start-up, in ticks over all cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTimes {
    busy: u64,
    total: u64,
}

impl CpuTimes {
    /// Reads the first line of `/proc/stat`. `None` when it is not what is expected.
    pub fn parse(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = fields.split_whitespace().map_while(|f| f.parse().ok()).take(8).collect();
        let total = ticks.iter().try_fold(0_u64, |sum, t| sum.checked_add(*t))?;
        // user nice system idle iowait irq softirq steal: idle and iowait are rest.
        let idle = ticks.get(3)?.checked_add(ticks.get(4).copied().unwrap_or(0))?;
        Some(Self { busy: total.checked_sub(idle)?, total })
    }

    /// Share of the cores' time spent busy between two readings, in `0..=1`.
    pub fn share_since(self, earlier: Self) -> Option<f32> {
        let total = self.total.checked_sub(earlier.total).filter(|t| *t > 0)?;
        let busy = self.busy.saturating_sub(earlier.busy);
        Some((busy as f64 / total as f64).clamp(0.0, 1.0) as f32)
    }
}

/// Memory of the host, in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Not available to new programs.
    pub used: u64,
    /// In all.
    pub total: u64,
}

impl Memory {
    /// Used over total, in `0..=1`.
    pub fn share(self) -> Option<f32> {
        (self.total > 0).then(|| (self.used as f64 / self.total as f64) as f32)
    }
}

/// Reads `/proc/meminfo`. `None` when it lacks what is needed.
pub fn parse_memory(meminfo: &str) -> Option<Memory> {
    let kib = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let (total, available) = (kib("MemTotal")?, kib("MemAvailable")?);
    Some(Memory { used: total.saturating_sub(available) / 1024, total: total / 1024 })
}

/// The processor's name as the system has it; the instruction set where it has none.
pub fn processor_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// The tightest memory limit of this process's control group and those above it, and what is left of it, in
/// bytes; nothing without a limit.
pub fn group_memory() -> Option<(u64, u64)> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let number =
        |folder: &Path, name| std::fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let left = |folder: &Path| {
        let limit = number(folder, "memory.max")?;
        Some((limit, limit.saturating_sub(number(folder, "memory.current").unwrap_or(0))))
    };
    let group = root.join(own);
    let groups = group.ancestors().take_while(|folder| folder.starts_with(root));
    groups.filter_map(left).min_by_key(|(_, left)| *left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_what_is_neither_idle_nor_waiting() {
        let at = |line: &str| CpuTimes::parse(line).unwrap();
        let earlier = at("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3");
        let later = at("cpu  160 0 70 900 70 0 0 0 0 0");
        assert_eq!(later.share_since(earlier), Some(0.4));
        assert_eq!(earlier.share_since(earlier), None);
        assert_eq!(earlier.share_since(later), None);
    }

    #[test]
    fn nonsense_is_no_reading() {
        for text in ["", "cpu0 1 2 3 4", "cpu  1 2", "cpu  a b c d e", "cpu  1 1 1 18446744073709551615 9"] {
            assert_eq!(CpuTimes::parse(text), None, "{text}");
        }
        assert_eq!(parse_memory("MemTotal: 10 kB"), None);
        assert_eq!(parse_memory("MemTotal: x kB\nMemAvailable: 1 kB"), None);
    }

    #[test]
    fn memory_in_use_is_what_is_not_available() {
        let text = "MemTotal:       4194304 kB\nMemFree: 1 kB\nMemAvailable:   1048576 kB\n";
        let memory = parse_memory(text).unwrap();
        assert_eq!(memory, Memory { used: 3072, total: 4096 });
        assert_eq!(memory.share(), Some(0.75));
    }
}
