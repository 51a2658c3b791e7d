//! The real client in a pseudo-terminal: a harness that types, looks and records.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{InputModes, LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::faults::children;
use crate::home::{Home, wait_for};

/// What stands between the terminal and the program. As a rule it is a shell: it outlives the program, whose
/// last bytes a terminal that hangs up at once may lose.
const SHELL: &str = "\"$0\" \"$@\"; echo \"ended with $?\"; read enter";
const DEAF: &str = "trap '' HUP; \"$0\" \"$@\"; echo \"ended with $?\"; read enter";
/// A shell that a person types at: a program that stops gives the terminal back to it. A program that is stopped by
/// force leaves the cursor anywhere, and the words begin a line of their own.
const JOBS: &str = "set -m; \"$0\" \"$@\"; printf '\\r\\nstopped with %s\\r\\n' $?; read enter; \
                    fg >/dev/null; echo \"ended with $?\"; read enter";

/// What came out of the program.
struct Output {
    emulator: vt100::Parser,
    bytes: Vec<u8>,
}

/// The program in a terminal of its own, and what that terminal shows.
pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    keys: Option<Box<dyn Write + Send>>,
    output: Arc<Mutex<Output>>,
    terminal: Option<Box<dyn MasterPty + Send>>,
    /// Settings of the terminal before the program began.
    settings: String,
    /// The reader is to let go of its end of the terminal too.
    closing: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Screen {
    pub fn open(home: &Home, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::open_with(home, arguments, size, &[])
    }

    pub fn open_with(
        home: &Home,
        arguments: &[&str],
        size: (u16, u16),
        environment: &[(&str, &str)],
    ) -> Self {
        Self::open_in(SHELL, home, arguments, size, environment)
    }

    /// In a shell with job control, which says `stopped with` when the program stops and continues it after Enter.
    pub fn open_as_job(home: &Home, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::open_in(JOBS, home, arguments, size, &[])
    }

    /// Hang-ups are ignored when the program begins, as below `nohup`.
    pub fn open_deaf(home: &Home, arguments: &[&str], size: (u16, u16)) -> Self {
        Self::open_in(DEAF, home, arguments, size, &[])
    }

    fn open_in(
        shell: &str,
        home: &Home,
        arguments: &[&str],
        (columns, rows): (u16, u16),
        environment: &[(&str, &str)],
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let plain = home.command(arguments);
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", shell]);
        command.arg(plain.get_program());
        command.args(plain.get_args());
        command.env_clear();
        for (key, value) in plain.get_envs() {
            command.env(key, value.unwrap());
        }
        command.env("TERM", "xterm-256color");
        for (key, value) in environment {
            command.env(key, value);
        }
        let settings = settings(pair.master.as_ref());
        let child = pair.slave.spawn_command(command).unwrap();
        let output =
            Output { emulator: vt100::Parser::new(rows.max(4), columns.max(4), 0), bytes: Vec::new() };
        let output = Arc::new(Mutex::new(output));
        let (mut reader, writer) =
            (pair.master.try_clone_reader().unwrap(), pair.master.take_writer().unwrap());
        let shared = Arc::clone(&output);
        let closing = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&closing);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer)
                && !closed.load(Ordering::Relaxed)
            {
                let mut output = shared.lock().unwrap();
                output.bytes.extend_from_slice(&buffer[..n]);
                output.emulator.process(&buffer[..n]);
            }
        });
        let reader = Some(reader);
        Self { child, keys: Some(writer), output, terminal: Some(pair.master), settings, closing, reader }
    }

    /// What the terminal shows.
    pub fn shown(&self) -> Shown<'_> {
        Shown(self.output.lock().unwrap())
    }

    pub fn text(&self) -> String {
        self.shown().screen().contents()
    }

    /// Everything that was sent so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.output.lock().unwrap().bytes.clone()
    }

    pub fn wait(&self, words: &str) {
        let began = std::time::Instant::now();
        while !self.text().contains(words) {
            assert!(began.elapsed().as_secs() < 60, "no {words:?} on the screen:\n{}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    pub fn press(&mut self, keys: &str) {
        let writer = self.keys.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    pub fn resize(&self, (columns, rows): (u16, u16)) {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        // The emulator is never smaller: it does not survive it.
        self.output.lock().unwrap().emulator.screen_mut().set_size(rows.max(4), columns.max(4));
        self.terminal.as_ref().unwrap().resize(size).unwrap();
    }

    /// The line goes dead. With the next output nobody holds the other end of the terminal any more; returns then.
    pub fn hang_up(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.keys = None;
        self.terminal = None;
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }

    /// Waits for the end of the program and looks whether the terminal is as it was.
    pub fn restored(&mut self) {
        self.wait("ended with");
        self.as_before();
    }

    /// The terminal is as it was before the program began.
    pub fn as_before(&self) {
        let shown = self.shown();
        let screen = shown.screen();
        let now = settings(self.terminal.as_ref().unwrap().as_ref());
        assert_eq!(now, self.settings, "{}", screen.contents());
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    }

    /// Sets the terminal as a shell sets it for itself.
    pub fn cook(&self) {
        let terminal = File::open(self.device()).unwrap();
        let mut settings = tcgetattr(&terminal).unwrap();
        settings.local_modes |= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        settings.input_modes |= InputModes::ICRNL;
        tcsetattr(&terminal, OptionalActions::Now, &settings).unwrap();
    }

    pub fn is_raw(&self) -> bool {
        let settings = tcgetattr(File::open(self.device()).unwrap()).unwrap();
        !settings.local_modes.contains(LocalModes::ICANON)
    }

    fn device(&self) -> std::path::PathBuf {
        self.terminal.as_ref().unwrap().tty_name().unwrap()
    }

    /// The program's process, not the shell around it.
    pub fn program(&self) -> u32 {
        let shell = self.child.process_id().unwrap();
        wait_for("the program", || children(shell, "attach").pop())
    }

    /// Sends the program a signal, not the shell around it.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.program()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
    }
}

/// The emulator, looked at.
pub struct Shown<'a>(MutexGuard<'a, Output>);

impl Shown<'_> {
    pub fn screen(&self) -> &vt100::Screen {
        self.0.emulator.screen()
    }
}

/// Modes and control characters of a terminal.
fn settings(terminal: &dyn MasterPty) -> String {
    format!("{:?}", terminal.get_termios().unwrap())
}

/// Every sequence in these bytes is one of those that the program has: colours, places, clearing, and the modes it
/// turns on and off. None of them asks the terminal anything.
pub fn told_only_what_is_known(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut parts = text.split('\u{1b}');
    let plain = |part: &str| {
        let bad = part.chars().find(|c| c.is_control() && !matches!(c, '\r' | '\n'));
        assert!(bad.is_none(), "{bad:?} in {part:?}");
    };
    plain(parts.next().unwrap());
    for part in parts {
        let body = part.strip_prefix('[').unwrap_or_else(|| panic!("{part:?}"));
        let end = body.find(|c: char| c.is_ascii_alphabetic()).unwrap_or_else(|| panic!("{part:?}"));
        let (parameters, last) = (&body[..end], &body[end..=end]);
        let known = match last {
            "m" | "H" | "J" | "r" | "S" | "T" => parameters.bytes().all(|b| b.is_ascii_digit() || b == b';'),
            "h" | "l" => ["?1004", "?1049", "?2004", "?2026", "?25"].contains(&parameters),
            _ => false,
        };
        assert!(known, "{parameters}{last}");
        plain(&body[end + 1..]);
    }
}
