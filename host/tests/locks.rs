// SPDX-License-Identifier: GPL-2.0

//! The lock words of the TDX module under every order in which processors can reach them, with every
//! value that the memory model lets them see.

use loom::{
    cell::UnsafeCell,
    model::Builder,
    sync::{
        atomic::{
            AtomicU64,
            Ordering::{
                AcqRel,
                Acquire,
                Relaxed,
                Release, //
            }, //
        },
        Arc, //
    },
    thread, //
};
use tdx::{
    abi::{
        sept::Entry,
        Level,
        PageType, //
    },
    sim::model::{
        field::Field,
        lock::{
            Guard,
            Lock,
            Mem,
            Mode, //
        },
        pamt,
        platform::{
            Abilities,
            Config,
            KeyError,
            Lp,
            Platform, //
        },
        sept::{
            self,
            Slot, //
        },
        tdcs::{
            self,
            Tdcs, //
        },
        tdr,
        tdvps::{
            self,
            Tdvps, //
        }, //
    },
};

/// A few words of memory from address 0 on, ordered as [`Platform`] demands and no stronger.
struct Words([AtomicU64; 3]);

impl Words {
    fn new(words: [u64; 3]) -> Self {
        Self(words.map(AtomicU64::new))
    }

    fn at(&self, pa: u64) -> &AtomicU64 {
        &self.0[pa as usize / 8]
    }
}

impl Platform for Words {
    fn load(&self, pa: u64) -> u64 {
        self.at(pa).load(Acquire)
    }

    fn store(&self, pa: u64, value: u64) {
        self.at(pa).store(value, Release);
    }

    fn cmpxchg(&self, pa: u64, old: u64, new: u64) -> Result<u64, u64> {
        self.at(pa).compare_exchange(old, new, AcqRel, Acquire)
    }

    fn copy_page(&self, _dst: u64, _src: u64) {
        unreachable!("locks are words")
    }

    fn fill_page(&self, _pa: u64, _word: u64) {
        unreachable!("locks are words")
    }

    fn sha512_block(&self, _state: &mut [u64; 8], _block: &[u8; 128]) {
        unreachable!("locks measure nothing")
    }

    fn random(&self) -> Option<u64> {
        unreachable!("locks leave nothing to chance")
    }

    fn tsc(&self) -> u64 {
        unreachable!("locks do not wait")
    }

    fn cpuid(&self, _leaf: u32, _subleaf: u32) -> [u32; 4] {
        unreachable!("locks are the same on all processors")
    }

    fn lp(&self) -> Lp {
        unreachable!("locks do not know their holder")
    }

    fn interrupt_pending(&self) -> bool {
        unreachable!("locks are not interrupted")
    }

    fn config_key(&self, _hkid: u16) -> Result<(), KeyError> {
        unreachable!("locks have no key")
    }

    fn msr(&self, _msr: u32) -> u64 {
        unreachable!("locks are the same on all processors")
    }

    fn host_xmm(&self, _number: u32) -> [u64; 2] {
        unreachable!("locks have no operands")
    }

    fn set_host_xmm(&self, _number: u32, _value: [u64; 2]) {
        unreachable!("locks return nothing")
    }

    fn abilities(&self) -> Option<Abilities> {
        unreachable!("locks run no guests")
    }

    fn run(&self, _tdcs: &Tdcs<'_, Self>, _tdvps: &Tdvps<'_, Self>, _flush: bool) {
        unreachable!("locks run no guests")
    }

    fn config(&self) -> &Config {
        unreachable!("locks are the same on all machines")
    }
}

/// What a lock protects. loom panics when a processor reads or writes it while another one may write
/// it, or has written it and the order of memory does not show so.
struct Protected(UnsafeCell<u64>);

// SAFETY: Processors hold a lock when they access it; that they do is what the tests are about.
unsafe impl Sync for Protected {}
// SAFETY: A number belongs to no thread.
unsafe impl Send for Protected {}

impl Protected {
    fn read(&self) -> u64 {
        // SAFETY: loom finds out if somebody writes.
        self.0.with(|number| unsafe { *number })
    }

    fn increment(&self) {
        // SAFETY: loom finds out if somebody else is there.
        self.0.with_mut(|number| unsafe { *number += 1 });
    }
}

/// Memory with something that a lock in it protects.
struct Shared {
    words: Words,
    protected: Protected,
}

/// Runs `body` on two or three processors, in each order that there is.
fn on_each<const N: usize>(
    words: [u64; 3],
    body: impl Fn(usize, &Shared) + Copy + Send + Sync + 'static,
    end: impl Fn(&Shared) + Sync + Send + 'static,
) {
    let mut model = Builder::new();
    // More changes of processor within one run find nothing that fewer do not.
    model.preemption_bound = Some(3);
    model.check(move || {
        let shared = Arc::new(Shared {
            words: Words::new(words),
            protected: Protected(UnsafeCell::new(0)),
        });
        let others: Vec<_> = (1..N)
            .map(|n| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || body(n, &shared))
            })
            .collect();
        body(0, &shared);
        for other in others {
            other.join().expect("a processor that comes to its end");
        }
        end(&shared);
    });
}

type PageLock<'a> = pamt::PageLock<'a, Words>;
type Mutex<'a> = Lock<Mem<'a, Words>, 0, false>;
const HOST_PRIORITY: u64 = 2;

fn page_lock(shared: &Shared) -> PageLock<'_> {
    Lock::new(Mem::new(&shared.words, 0))
}

/// What else is in the word of a page's lock: type and owner.
const PAGE: u64 = 0x0012_3400_0005_0000;

fn word(shared: &Shared, n: usize) -> u64 {
    shared.words.0[n].load(Relaxed)
}

#[test]
fn exclusive_excludes() {
    on_each::<3>(
        [PAGE, 0, 0],
        |_, shared| {
            if let Some(_guard) = page_lock(shared).acquire(Mode::Exclusive) {
                shared.protected.increment();
            }
        },
        |shared| {
            assert!((1..=3).contains(&shared.protected.read()));
            assert_eq!(word(shared, 0) & !HOST_PRIORITY, PAGE);
        },
    );
}

#[test]
fn sharers_see_all_or_nothing_of_an_owner() {
    on_each::<3>(
        [PAGE, 0, 0],
        |n, shared| {
            if n == 0 {
                if let Some(_guard) = page_lock(shared).acquire(Mode::Exclusive) {
                    shared.protected.increment();
                    shared.protected.increment();
                }
            } else if let Some(_guard) = page_lock(shared).acquire(Mode::Shared) {
                assert_eq!(shared.protected.read() % 2, 0);
            }
        },
        |shared| assert_eq!(word(shared, 0) & !HOST_PRIORITY, PAGE),
    );
}

#[test]
fn sharers_do_not_refuse_each_other() {
    on_each::<3>(
        [PAGE, 0, 0],
        |_, shared| assert!(page_lock(shared).acquire(Mode::Shared).is_some()),
        |shared| assert_eq!(word(shared, 0), PAGE),
    );
}

#[test]
fn a_mutex_has_no_priority_bit() {
    let mutex = |shared: &Shared| {
        let mutex: Mutex<'_> = Lock::new(Mem::new(&shared.words, 0));
        drop(mutex.acquire(Mode::Exclusive));
    };
    on_each::<3>(
        [PAGE, 0, 0],
        move |_, shared| mutex(shared),
        |shared| assert_eq!(word(shared, 0), PAGE),
    );
}

/// The refusal was the last that happened, or somebody took the lock after it and ended the
/// priority.
#[test]
fn who_is_refused_asks_for_priority() {
    on_each::<2>(
        [PAGE, 0, 0],
        |n, shared| match page_lock(shared).acquire(Mode::Exclusive) {
            Some(guard) => drop(guard),
            None => shared.words.0[1 + n].store(1, Relaxed),
        },
        |shared| {
            let refused = word(shared, 1) + word(shared, 2);
            let expected = if refused > 0 {
                PAGE | HOST_PRIORITY
            } else {
                PAGE
            };
            // The other one took it once, before the refusal.
            assert!(refused <= 1);
            assert_eq!(word(shared, 0), expected);
        },
    );
}

#[test]
fn one_sharer_of_two_becomes_owner_alone() {
    on_each::<2>(
        [PAGE, 0, 0],
        |_, shared| {
            let mut guard = page_lock(shared).acquire(Mode::Shared);
            if guard.as_mut().is_some_and(Guard::promote) {
                shared.protected.increment();
            }
        },
        |shared| assert_eq!(word(shared, 0) & !HOST_PRIORITY, PAGE),
    );
}

/// OP_STATE lies in the word of its lock, and its holder may change it.
#[test]
fn what_shares_the_word_is_not_lost() {
    const LOCK: Field = tdcs::fields::OP_STATE_LOCK;
    const STATE: Field = tdcs::fields::OP_STATE;
    on_each::<2>(
        [0, 0, 0],
        |n, shared| {
            let word = Mem::new(&shared.words, 0);
            if n == 0 {
                STATE
                    .try_update(&word, |state| Some(state + 1))
                    .expect("an update");
            } else {
                let lock: Lock<_, { LOCK.shift() }, true> = Lock::new(word);
                assert!(lock.acquire(Mode::Exclusive).is_some());
            }
        },
        |shared| assert_eq!(word(shared, 0), 1),
    );
}

#[test]
fn a_secure_ept_entry_has_one_holder() {
    on_each::<3>(
        [Entry::FREE.into_raw(), 0, 0],
        |_, shared| {
            let slot = Slot::nth(&shared.words, 0, 0, Level::K4);
            if let Some(locked) = slot.lock() {
                shared.protected.increment();
                let entry = locked.get();
                locked.set(Entry::from_raw(entry.into_raw() + (1 << 12)));
            }
        },
        |shared| {
            let entry = word(shared, 0);
            assert_eq!(entry & Entry::LOCKED_MASK, 0);
            let changes = ((entry & !sept::LOCK) - Entry::FREE.into_raw()) >> 12;
            assert_eq!(changes, shared.protected.read());
        },
    );
}

/// PAMT type and owner are changed by the holder of the lock while others try to take it.
#[test]
fn a_page_changes_hands_while_others_ask_for_it() {
    on_each::<3>(
        [0, 0, 0],
        |n, shared| {
            let entry = pamt::Entry::new(&shared.words, 0);
            if let Some(guard) = entry.lock().acquire(Mode::Exclusive) {
                let taken = PageType::from_raw(entry.raw_type()) != Some(PageType::Nda);
                if !taken {
                    entry.set(PageType::Reg, (n as u64 + 1) << 12);
                    entry.set_bepoch(n as u64 + 1);
                }
                drop(guard);
            }
        },
        |shared| {
            let entry = pamt::Entry::new(&shared.words, 0);
            assert!(entry.is(PageType::Reg));
            assert_eq!(entry.owner(), entry.bepoch() << 12);
        },
    );
}

/// TD_EPOCH's reference counts, CHLDCNT and the association of a vCPU change without a lock.
#[test]
fn counts_without_a_lock_lose_nothing() {
    on_each::<2>(
        [0, 0, u64::MAX],
        |n, shared| {
            let word = |n: u64| Mem::new(&shared.words, n * 8);
            // Both counts are in one word.
            let count = tdcs::fields::REFCOUNT;
            count.element(0).add(&word(0), 1);
            if n == 1 {
                count.element(1).add(&word(0), 3);
                count.element(0).add(&word(0), 1u64.wrapping_neg());
            }
            tdr::fields::CHLDCNT.add(&word(1), 512);
            // One of two processors gets the vCPU.
            let lpid = tdvps::fields::ASSOC_LPID;
            let at = Mem::new(&shared.words, 16);
            let free = |lp| (lp == tdvps::NO_LP).then_some(n as u64);
            if lpid.try_update(&at, free).is_ok() {
                shared.protected.increment();
            }
        },
        |shared| {
            let base = tdcs::fields::REFCOUNT.shift();
            assert_eq!(word(shared, 0) >> base, 3 << 16 | 1);
            assert_eq!(word(shared, 1), 1024);
            assert_eq!(shared.protected.read(), 1);
        },
    );
}
