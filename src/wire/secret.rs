//! Secrets: stored in files or in the server's environment. Tables contain only their names.

use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::fd::FromRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::settings;

/// Maximum length of a secret, in bytes.
const LONGEST: u64 = 8_192;
const PREFIX: &str = "KURSAHA_SECRET_";

enum Reference<'a> {
    File(&'a str),
    Variable(&'a str),
}

/// Parses a reference. The error for an invalid reference does not contain it, because it may be the secret itself.
fn parse(reference: &str) -> Fallible<Reference<'_>> {
    if let Some(name) = reference.strip_prefix("file:")
        && (1..=100).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    {
        return Ok(Reference::File(name));
    }
    if let Some(name) = reference.strip_prefix("env:")
        && let Some(rest) = name.strip_prefix(PREFIX)
        && (1..=100).contains(&rest.len())
        && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return Ok(Reference::Variable(name));
    }
    Err(invalid("the secret is neither file:NAME nor env:KURSAHA_SECRET_NAME").set_hint(
        "Put the secret into a file below kursaha_cohort.secrets_dir and pass its name (letters, digits, _ . -), as in 'file:fb-main'.",
    ))
}

/// Checks that a reference has one of the two forms.
pub(crate) fn check(reference: &str) -> Fallible<()> {
    parse(reference).map(|_| ())
}

/// Whether the secret of a reference exists.
pub(crate) fn exists(reference: &str) -> bool {
    match parse(reference) {
        Ok(Reference::Variable(name)) => std::env::var_os(name).is_some(),
        // Readable or not: it is somebody's.
        Ok(Reference::File(name)) => {
            std::fs::symlink_metadata(PathBuf::from(settings::secrets_dir()).join(name)).is_ok()
        }
        Err(_) => false,
    }
}

/// The secret of a reference.
pub(crate) fn read(reference: &str) -> Fallible<String> {
    let content = match parse(reference)? {
        Reference::Variable(name) => std::env::var(name).map_err(|_| {
            failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("{name} is not in the server's environment"))
                .set_hint("Set it in the environment of the server, or use a file.")
        })?,
        Reference::File(name) => read_file(name)?,
    };
    let content = content.strip_suffix('\n').unwrap_or(&content);
    let content = content.strip_suffix('\r').unwrap_or(content);
    if content.is_empty() || content.chars().any(char::is_control) {
        return Err(invalid("the secret is empty or has control characters")
            .set_hint("A secret is one line of text; a line break at its end is removed."));
    }
    Ok(content.to_owned())
}

fn read_file(name: &str) -> Fallible<String> {
    let wrong = |why: &str, hint: &str| {
        failure(SqlState::ERRCODE_UNDEFINED_FILE, format!("the secret file \"{name}\" {why}")).set_hint(hint.to_owned())
    };
    let setting = settings::secrets_dir();
    if setting.is_empty() {
        return Err(wrong("has no directory", "Set kursaha_cohort.secrets_dir."));
    }
    // A relative one is below the data directory, where a server process is at home.
    let directory = PathBuf::from(setting);
    let missing = "Create it below kursaha_cohort.secrets_dir, owned by the server's user, with mode 0600.";
    let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| wrong("has no directory", missing))?;
    let file_name = CString::new(name).map_err(|_| wrong("has a wrong name", missing))?;
    // SAFETY: both strings end with a zero byte; a descriptor that was opened is owned by the File made of it.
    let mut file = unsafe {
        let directory = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        if directory < 0 {
            return Err(match std::io::Error::last_os_error().kind() {
                ErrorKind::NotFound => wrong(
                    "has no directory",
                    "kursaha_cohort.secrets_dir does not exist: create it, owned by the server's user, with mode 0700.",
                ),
                _ => wrong(
                    "is in a directory that the server cannot read",
                    "chown the directory of kursaha_cohort.secrets_dir to the server's user; chmod 0700.",
                ),
            });
        }
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
        let file = libc::openat(directory, file_name.as_ptr(), flags);
        let opened = std::io::Error::last_os_error();
        libc::close(directory);
        if file < 0 {
            return Err(match (opened.kind(), opened.raw_os_error()) {
                (ErrorKind::NotFound, _) => wrong("does not exist", missing),
                (ErrorKind::PermissionDenied, _) => {
                    wrong("cannot be read by the server", "chown it to the server's user; chmod 0600.")
                }
                (_, Some(libc::ELOOP)) => wrong("is a symbolic link", "Replace the link with a file."),
                _ => wrong("cannot be opened", missing),
            });
        }
        File::from_raw_fd(file)
    };
    let facts = file.metadata().map_err(|_| wrong("cannot be read", missing))?;
    if !facts.is_file() {
        return Err(wrong("is not a regular file", missing));
    }
    if facts.mode() & 0o007 != 0 {
        return Err(wrong("may be read by everyone", "chmod 0600."));
    }
    if facts.len() > LONGEST {
        return Err(wrong("is too long", "A secret has at most 8 kB."));
    }
    let mut content = Vec::new();
    file.by_ref().take(LONGEST + 1).read_to_end(&mut content).map_err(|_| wrong("cannot be read", missing))?;
    String::from_utf8(content).map_err(|_| wrong("is not valid UTF-8", "A secret is one line of text."))
}
