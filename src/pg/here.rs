//! Which thread is at work: the server's own, or one that helps it for the time of a question. Helpers call nothing of the
//! server.

use std::any::Any;
use std::cell::Cell;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys;

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Evaluates by itself.
    Alone,
    /// Is the server's thread, and has helpers: an error that jumps must not pass them.
    Leads,
    Helps,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Alone) };
    /// Its address tells threads apart.
    static MARK: u8 = const { 0 };
}

/// Whether the helpers are to end.
static STOP: AtomicBool = AtomicBool::new(false);

/// Unwinds a thread whose evaluation is to end: the leader was interrupted.
struct Stopped;

/// Unwinds a helper that needs what only the server's thread has.
struct NotHere;

/// Why a thread was unwound.
pub(crate) enum Unwound {
    /// Evaluations are to end.
    Stopped,
    /// The server's thread has to do it.
    NotHere,
    /// Something else happened: an error of the server, or a panic.
    Other(Box<dyn Any + Send>),
}

impl From<Box<dyn Any + Send>> for Unwound {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        if payload.is::<Stopped>() {
            Self::Stopped
        } else if payload.is::<NotHere>() {
            Self::NotHere
        } else {
            Self::Other(payload)
        }
    }
}

/// While it lives, this thread is the leader of helpers: interrupts are held, and looked at by [`check`].
pub(crate) struct Leading {
    /// How often interrupts were held before.
    held: u32,
}

impl Leading {
    pub(crate) fn new() -> Self {
        STOP.store(false, Ordering::Relaxed);
        ROLE.set(Role::Leads);
        // SAFETY: as HOLD_INTERRUPTS() does it, in the server's thread.
        let held = unsafe {
            let held = pg_sys::InterruptHoldoffCount;
            pg_sys::InterruptHoldoffCount += 1;
            held
        };
        Self { held }
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        ROLE.set(Role::Alone);
        // SAFETY: as RESUME_INTERRUPTS(); an error of the server has let go of all that were held.
        unsafe { pg_sys::InterruptHoldoffCount = self.held.min(pg_sys::InterruptHoldoffCount) }
    }
}

/// From now on this thread helps another.
pub(crate) fn help() {
    ROLE.set(Role::Helps);
}

/// Has all helpers end at their next check.
pub(crate) fn stop() {
    STOP.store(true, Ordering::Relaxed);
}

pub(crate) fn is_stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Does something while all signals are blocked: a thread that it starts has them blocked too, so that they come to the
/// server's thread.
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    /// Puts the mask back, whatever happens.
    struct Before(libc::sigset_t);

    impl Drop for Before {
        fn drop(&mut self) {
            // SAFETY: the mask is one that was in force.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
        }
    }

    // SAFETY: the masks are initialised by the calls.
    let _before = unsafe {
        let (mut all, mut before) = (std::mem::zeroed::<libc::sigset_t>(), std::mem::zeroed::<libc::sigset_t>());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        Before(before)
    };
    work()
}

/// Whether something waits for [`pgrx::check_for_interrupts!`], which may raise an error.
pub(crate) fn is_interrupted() -> bool {
    // SAFETY: a variable of the server that signals set.
    unsafe { std::ptr::read_volatile(&raw const pg_sys::InterruptPending) != 0 }
}

/// To be called often by whatever takes time, in any thread: it may end it by unwinding.
pub(crate) fn check() {
    match ROLE.get() {
        Role::Alone => {
            pgrx::check_for_interrupts!();
        }
        Role::Leads => {
            if is_interrupted() {
                stop();
                resume_unwind(Box::new(Stopped));
            }
        }
        Role::Helps => {
            if is_stopped() {
                resume_unwind(Box::new(Stopped));
            }
        }
    }
}

/// To be called before anything of the server is: a helper gives up what it is at.
pub(crate) fn only_here() {
    if ROLE.get() == Role::Helps {
        resume_unwind(Box::new(NotHere));
    }
}

/// A value that belongs to the thread that made it. Others may have it in what they share, and give up what they are at when
/// they look at it.
pub(crate) struct Here<T> {
    value: T,
    owner: usize,
}

fn mark() -> usize {
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

impl<T> Here<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value, owner: mark() }
    }
}

impl<T> Deref for Here<T> {
    type Target = T;

    fn deref(&self) -> &T {
        if self.owner != mark() {
            resume_unwind(Box::new(NotHere));
        }
        &self.value
    }
}

// SAFETY: only the thread that made the value gets at it, through a shared reference: every look at it compares the threads.
// It is dropped by its owner, because it can be sent to another thread only where its value can.
unsafe impl<T> Sync for Here<T> {}
