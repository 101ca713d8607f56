//! A list on disk with the work of a run. It outlives the transaction that computed it, and may not fit in memory. It is
//! one of the server's temporary files: `temp_file_limit` counts it and a crash leaves nothing behind.

use pgrx::pg_sys;

use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::query::Given;

/// One entry: a number whose meaning is the writer's, a customer's id, and what a query returned of the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) customer: String,
    /// What a query returned of the customer.
    pub(super) given: Option<Given>,
}

/// A list that is written first, and then read from its beginning.
pub(super) struct Spool {
    file: *mut pg_sys::BufFile,
    written: u64,
    read: u64,
}

impl Spool {
    /// An empty one. Called inside a transaction.
    pub(super) fn new() -> Self {
        // SAFETY: a file across transactions must not be allocated in a transaction's memory.
        let file = unsafe {
            let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let file = pg_sys::BufFileCreateTemp(true);
            pg_sys::MemoryContextSwitchTo(before);
            file
        };
        Self { file, written: 0, read: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.written
    }

    pub(super) fn push(&mut self, number: i64, customer: &str, given: Option<&Given>) {
        self.write(&number.to_ne_bytes());
        self.write_text(customer);
        let profile = given.and_then(|given| given.profile.as_deref());
        self.write(&[u8::from(given.is_some()) | u8::from(profile.is_some()) << 1]);
        if let Some(profile) = profile {
            self.write_text(profile);
            self.write(&given.and_then(|given| given.stamp).unwrap_or(0).to_ne_bytes());
        }
        self.written += 1;
    }

    fn write_text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.write(&length.to_ne_bytes());
        self.write(text.as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        // SAFETY: the bytes are only read, in spite of the type that some versions ask for.
        unsafe { pg_sys::BufFileWrite(self.file, bytes.as_ptr().cast_mut().cast(), bytes.len()) };
    }

    /// Goes back to the beginning.
    pub(super) fn rewind(&mut self) -> Fallible<()> {
        // SAFETY: the file is open; 0 is SEEK_SET.
        if unsafe { pg_sys::BufFileSeek(self.file, 0, 0, 0) } != 0 {
            return Err(failure(SqlState::ERRCODE_IO_ERROR, "could not rewind a temporary file"));
        }
        self.read = 0;
        Ok(())
    }

    /// Returns up to `most` of the next entries.
    pub(super) fn take(&mut self, most: usize) -> Fallible<Vec<Entry>> {
        let mut entries = Vec::with_capacity(most.min(10_000));
        while entries.len() < most && self.read < self.written {
            let (mut number, mut flags) = ([0; 8], [0; 1]);
            self.fill(&mut number)?;
            let customer = self.fill_text()?;
            self.fill(&mut flags)?;
            let (mut profile, mut stamp) = (None, None);
            if flags[0] & 2 != 0 {
                profile = Some(self.fill_text()?);
                let mut bytes = [0; 8];
                self.fill(&mut bytes)?;
                stamp = Some(i64::from_ne_bytes(bytes));
            }
            let given = (flags[0] & 1 != 0).then_some(Given { profile, stamp });
            entries.push(Entry { number: i64::from_ne_bytes(number), customer, given });
            self.read += 1;
        }
        Ok(entries)
    }

    fn fill_text(&mut self) -> Fallible<String> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let mut text = vec![0; u32::from_ne_bytes(length) as usize];
        self.fill(&mut text)?;
        String::from_utf8(text).map_err(|_| broken())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Fallible<()> {
        // SAFETY: writes at most as many bytes as the slice has.
        let got = unsafe { pg_sys::BufFileRead(self.file, bytes.as_mut_ptr().cast(), bytes.len()) };
        if got == bytes.len() { Ok(()) } else { Err(broken()) }
    }
}

fn broken() -> pg_sys::panic::ErrorReport {
    failure(SqlState::ERRCODE_IO_ERROR, "a temporary file is shorter than the data that was written to it")
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: closed once; the process's end closes it otherwise.
            unsafe { pg_sys::BufFileClose(self.file) }
        }
    }
}
