//! Words on standard output and standard error. A reader who has gone (`| head`, a closed terminal) is no reason
//! to panic, nor to end: what does not end by itself, a run in the foreground, goes on without a reader.

use std::fmt::Arguments;
use std::io::Write;

/// As the macro of the standard library, but never panics.
macro_rules! println {
    () => { $crate::cli::say::out(format_args!("\n")) };
    ($($words:tt)*) => { $crate::cli::say::out(format_args!("{}\n", format_args!($($words)*))) };
}

/// As the macro of the standard library, but never panics.
macro_rules! print {
    ($($words:tt)*) => { $crate::cli::say::out(format_args!($($words)*)) };
}

/// As the macro of the standard library, but never panics.
macro_rules! eprintln {
    () => { $crate::cli::say::err(format_args!("\n")) };
    ($($words:tt)*) => { $crate::cli::say::err(format_args!("{}\n", format_args!($($words)*))) };
}

/// As the macro of the standard library, but never panics.
macro_rules! eprint {
    ($($words:tt)*) => { $crate::cli::say::err(format_args!($($words)*)) };
}

pub(crate) fn out(words: Arguments<'_>) {
    let _ = std::io::stdout().write_fmt(words);
}

pub(crate) fn err(words: Arguments<'_>) {
    let _ = std::io::stderr().write_fmt(words);
}
