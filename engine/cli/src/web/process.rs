//! What the process takes of the machine. What a system does not tell is left out.

use std::time::Duration;

/// What the process takes of the machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Process {
    /// Memory that is resident, in bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Time on processors since it began.
    pub(super) cpu: Option<Duration>,
    /// Open files and sockets.
    pub(super) open_files: Option<u64>,
}

impl Process {
    /// As it is now.
    pub(super) fn now() -> Self {
        Self { resident_bytes: resident_bytes(), cpu: cpu(), open_files: open_files() }
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn open_files() -> Option<u64> {
    // The folder itself is open while it is read.
    Some((std::fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1))
}

#[cfg(unix)]
fn cpu() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn cpu() -> Option<Duration> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let before = Process::now();
        let (_file, memory) = (std::fs::File::open("/dev/null").expect("is there"), vec![1_u8; 64 << 20]);
        let after = Process::now();
        assert!(memory.iter().all(|byte| *byte == 1));
        assert!(after.resident_bytes > Some(64 << 20), "{after:?}");
        assert!(after.cpu > before.cpu && after.open_files >= Some(4), "{before:?} {after:?}");
    }
}
