//! Which GPUs a process may use: `CUDA_VISIBLE_DEVICES` over what `nvidia-smi` reports.

use std::process::{Command, Stdio};

use super::gpu::{FIELDS, Gpu, parse_gpu};

/// The GPUs of this machine, by index; empty without `nvidia-smi` or when it fails.
pub fn gpus() -> Vec<Gpu> {
    let asked = Command::new("nvidia-smi")
        .args([&format!("--query-gpu={FIELDS}"), "--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    asked.map_or(Vec::new(), |output| listed(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads what `nvidia-smi` printed; the driver's order is by bus, as its indices are.
pub fn listed(output: &str) -> Vec<Gpu> {
    let mut gpus: Vec<Gpu> = output.lines().filter_map(parse_gpu).collect();
    gpus.sort_by_key(|gpu| gpu.index);
    gpus
}

/// The GPUs that a process with this `CUDA_VISIBLE_DEVICES` sees, in its order: index `n` of a device `cuda:n` is
/// the place here. Entries are indices of `nvidia-smi`, beginnings of identities, or partitions (`MIG-...`), whose
/// memory `nvidia-smi` does not list; as in CUDA the first entry that is nothing of these ends the list.
pub fn visible(setting: Option<&str>, gpus: &[Gpu]) -> Vec<Gpu> {
    let Some(setting) = setting else { return gpus.to_vec() };
    let found = |entry: &str| -> Option<Gpu> {
        if entry.starts_with("MIG-") {
            return Some(Gpu { uuid: entry.to_owned(), name: "partition".to_owned(), ..Gpu::default() });
        }
        if let Ok(index) = entry.parse::<u32>() {
            return gpus.iter().find(|gpu| gpu.index == index).cloned();
        }
        let mut matching = gpus.iter().filter(|gpu| entry.len() > 4 && gpu.uuid.starts_with(entry));
        let first = matching.next();
        first.filter(|_| matching.next().is_none()).cloned()
    };
    let mut seen: Vec<Gpu> = Vec::new();
    for entry in setting.split(',') {
        match found(entry.trim()) {
            // CUDA refuses a list that names a GPU twice.
            Some(gpu) if seen.iter().all(|other| other.uuid != gpu.uuid) => seen.push(gpu),
            _ => break,
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIGHT: &str = "\
0, GPU-5a1f, NVIDIA H100 80GB HBM3, 0, 4, 81559, 70.12, 31
1, GPU-5b2e, NVIDIA H100 80GB HBM3, 97, 60213, 81559, 612.00, 64
3, GPU-7d4c, NVIDIA H100 80GB HBM3, 0, 4, 81559, [N/A], 30
2, GPU-6c3d, NVIDIA H100 80GB HBM3, 0, 4, 81559, 70.02, 30
";

    fn names(setting: Option<&str>) -> Vec<String> {
        visible(setting, &listed(EIGHT)).into_iter().map(|gpu| gpu.uuid).collect()
    }

    #[test]
    fn without_a_setting_all_are_seen_by_index() {
        assert_eq!(names(None), ["GPU-5a1f", "GPU-5b2e", "GPU-6c3d", "GPU-7d4c"]);
        assert!(listed("No devices were found\n").is_empty());
        assert!(listed("NVIDIA-SMI has failed because it couldn't communicate with the driver").is_empty());
    }

    #[test]
    fn indices_identities_and_partitions_are_mapped_in_their_order() {
        assert_eq!(names(Some("3,1")), ["GPU-7d4c", "GPU-5b2e"]);
        assert_eq!(names(Some(" GPU-6c , 0")), ["GPU-6c3d", "GPU-5a1f"]);
        assert_eq!(names(Some("MIG-12ab")), ["MIG-12ab"]);
    }

    #[test]
    fn the_first_entry_that_is_nothing_ends_the_list() {
        assert!(names(Some("")).is_empty());
        assert_eq!(names(Some("0,9,1")), ["GPU-5a1f"]);
        assert_eq!(names(Some("0,-1,1")), ["GPU-5a1f"]);
        // The beginning of two identities.
        assert!(names(Some("GPU-5")).is_empty());
        assert_eq!(names(Some("1,1,0")), ["GPU-5b2e"]);
    }
}
