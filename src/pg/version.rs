//! Compares the version of this library with the version of the extension's objects in this database. They differ
//! between the installation of new files and `ALTER EXTENSION … UPDATE`, and while a session or a server still uses an
//! older library.

use std::cell::{Cell, RefCell};

use pgrx::{pg_guard, pg_sys};

use super::errors::{Fallible, SqlState, failure};
use super::index::extension_version;

/// This library's version.
pub(crate) const LIBRARY: &str = env!("CARGO_PKG_VERSION");

/// How the library and the objects in the database fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fit {
    /// They are of one version, or there is no extension.
    Same,
    /// The objects are of this, older version: `ALTER EXTENSION` is due. The library serves them.
    Ahead(String),
    /// The objects are of this, newer version, which the library knows nothing of.
    Behind(String),
}

thread_local! {
    static KNOWN: RefCell<Option<Fit>> = const { RefCell::new(None) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// How they fit now. Looked up once, and again when a function in this database was changed, as by every update script.
pub(crate) fn fit() -> Fit {
    if !REGISTERED.replace(true) {
        // SAFETY: registers a function of this library, which is never unloaded.
        unsafe {
            pg_sys::CacheRegisterSyscacheCallback(
                pg_sys::SysCacheIdentifier::PROCOID.cast_signed(),
                Some(functions_changed),
                pg_sys::Datum::from(0),
            );
        }
    }
    if let Some(known) = KNOWN.with_borrow(Clone::clone) {
        return known;
    }
    let found = extension_version().map_or(Fit::Same, |extension| compare(LIBRARY, extension));
    KNOWN.set(Some(found.clone()));
    found
}

#[pg_guard]
unsafe extern "C-unwind" fn functions_changed(_argument: pg_sys::Datum, _cache: std::ffi::c_int, _hash: u32) {
    KNOWN.take();
}

/// By the three numbers of a version; what follows them does not count.
fn compare(library: &str, extension: String) -> Fit {
    match numbers(library).cmp(&numbers(&extension)) {
        std::cmp::Ordering::Equal => Fit::Same,
        std::cmp::Ordering::Greater => Fit::Ahead(extension),
        std::cmp::Ordering::Less => Fit::Behind(extension),
    }
}

fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(|sign: char| !sign.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// What is wrong between library and objects, and the remedy; `None` where nothing is.
pub(crate) fn problem() -> Option<(String, &'static str)> {
    let (extension, remedy) = match fit() {
        Fit::Same => return None,
        Fit::Ahead(extension) => (extension, "ALTER EXTENSION kursaha_cohort UPDATE;"),
        Fit::Behind(extension) => (
            extension,
            "Open a new session. If the library is in shared_preload_libraries, restart the server. If the file of the library is the older one, install the newer one.",
        ),
    };
    Some((
        format!("the library of kursaha_cohort has version {LIBRARY}, but its objects have version {extension}"),
        remedy,
    ))
}

/// An error if the objects are newer than the library, whose results could be wrong.
pub(crate) fn refuse_newer_objects() -> Fallible<()> {
    match (fit(), problem()) {
        (Fit::Behind(_), Some((what, remedy))) => {
            Err(failure(SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, what).set_hint(remedy))
        }
        _ => Ok(()),
    }
}

/// Gives errors of a statement the remedy as their hint, where an object that the statement names is missing because the
/// objects are of another version. For as long as it lives; it must not move.
pub(crate) struct Remedy {
    callback: pg_sys::ErrorContextCallback,
    hint: Option<std::ffi::CString>,
}

impl Remedy {
    /// Nothing to say, as in nearly every session.
    pub(crate) fn new() -> Self {
        let hint = problem().and_then(|(what, remedy)| std::ffi::CString::new(format!("{what}. {remedy}")).ok());
        Self { callback: pg_sys::ErrorContextCallback::default(), hint }
    }

    /// Begins to listen.
    pub(crate) fn begin(self: std::pin::Pin<&mut Self>) {
        // SAFETY: nothing is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(hint) = &this.hint else { return };
        this.callback.arg = hint.as_ptr().cast_mut().cast();
        this.callback.callback = Some(add_hint);
        // SAFETY: the callback stays where it is until it is taken off the stack when this goes.
        unsafe {
            this.callback.previous = pg_sys::error_context_stack;
            pg_sys::error_context_stack = &raw mut this.callback;
        }
    }
}

impl Drop for Remedy {
    fn drop(&mut self) {
        if self.callback.callback.is_some() {
            // SAFETY: what was pushed after it is gone: the server takes its own off, also when an error leaves.
            unsafe { pg_sys::error_context_stack = self.callback.previous }
        }
    }
}

unsafe extern "C-unwind" {
    fn errhint(format: *const std::ffi::c_char, ...) -> std::ffi::c_int;
}

/// Called by the server while it makes an error: raises none itself.
unsafe extern "C-unwind" fn add_hint(hint: *mut std::ffi::c_void) {
    let missing = [
        SqlState::ERRCODE_UNDEFINED_FUNCTION,
        SqlState::ERRCODE_UNDEFINED_TABLE,
        SqlState::ERRCODE_UNDEFINED_COLUMN,
        SqlState::ERRCODE_UNDEFINED_OBJECT,
    ];
    // SAFETY: between the server's errstart and errfinish; the text lives as long as the callback.
    unsafe {
        if missing.iter().any(|state| *state as std::ffi::c_int == pg_sys::geterrcode()) {
            errhint(c"%s".as_ptr(), hint.cast::<std::ffi::c_char>().cast_const());
        }
    }
}
