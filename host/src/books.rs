// SPDX-License-Identifier: GPL-2.0

//! The books of the TDX module, and what has to hold of them between any two calls.
//!
//! A page has one owner and one place, PAMT and secure EPT agree, child counts balance, each KeyID
//! in use has one TD, and nothing is locked.

use crate::{
    abi::{
        sept::{
            Entry,
            State, //
        },
        state::{
            Lifecycle,
            OpState, //
        },
        Level,
        PageType, //
    },
    platform::{
        Cpu,
        Machine, //
    },
    sim::model::{
        kot::KeyIdState,
        lock::Mode,
        pamt::Info,
        platform::Platform,
        tdcs::{
            self,
            Tdcs, //
        },
        tdmr::{
            PAMT_ENTRY_SIZE,
            PAMT_LEVELS, //
        },
        tdr,
        Module, //
    },
};
use std::collections::BTreeMap;

/// What the PAMT says of a page that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// What it is used for.
    pub page_type: PageType,
    /// The TDR of the TD that it belongs to; 0 for a TDR.
    pub owner: u64,
    /// Its size.
    pub level: Level,
}

/// The pages that the PAMT says are in use, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books(BTreeMap<u64, Use>);

impl Books {
    /// Reads the PAMT.
    ///
    /// # Panics
    ///
    /// If an entry makes no sense, is locked, or two pages in use overlap.
    pub fn read(machine: &Machine, module: &Module) -> Self {
        let mut pages = BTreeMap::new();
        for tdmr in module.tdmrs.iter() {
            let range = tdmr.range();
            for level in PAMT_LEVELS {
                let pamt = tdmr.pamt(level);
                let end = tdmr.pamt_entry(level, tdmr.usable_end());
                let written = (pamt.base..end)
                    .step_by(Level::K4.size() as usize)
                    .filter(|pa| !machine.ram.is_untouched(*pa));
                let entries = written.flat_map(|page| {
                    (page..end.min(page + Level::K4.size())).step_by(PAMT_ENTRY_SIZE as usize)
                });
                for at in entries {
                    let info = Info::decode(machine.peek(at));
                    let pa = range.base + ((at - pamt.base) / PAMT_ENTRY_SIZE) * level.size();
                    assert!(!info.locked, "{level:?} page {pa:#x} is locked");
                    let page_type = PageType::from_raw(info.raw_type)
                        .unwrap_or_else(|| panic!("page {pa:#x} has type {}", info.raw_type));
                    if !matches!(page_type, PageType::Nda | PageType::Rsvd) {
                        let owner = info.owner;
                        let new = Use {
                            page_type,
                            owner,
                            level,
                        };
                        let old = pages.insert(pa, new);
                        assert_eq!(old, None, "page {pa:#x} is in use at two sizes");
                    }
                }
            }
        }
        let books = Self(pages);
        let mut free_from = 0;
        for (pa, page) in books.pages() {
            assert!(pa >= free_from, "page {pa:#x} lies in another");
            free_from = pa + page.level.size();
        }
        books
    }

    /// The pages in use, by ascending address.
    pub fn pages(&self) -> impl Iterator<Item = (u64, Use)> + Clone + '_ {
        self.0.iter().map(|(pa, page)| (*pa, *page))
    }

    /// The pages of a type, by ascending address.
    pub fn of_type(&self, page_type: PageType) -> impl Iterator<Item = u64> + Clone + '_ {
        self.pages()
            .filter(move |(_, page)| page.page_type == page_type)
            .map(|(pa, _)| pa)
    }

    /// The page in use that `pa` is in: its address, and what it is used for.
    pub fn at(&self, pa: u64) -> Option<(u64, Use)> {
        let (first, page) = self.0.range(..=pa).next_back()?;
        (pa - first < page.level.size()).then_some((*first, *page))
    }
}

/// Reads the books and checks all that has to hold of them.
///
/// # Panics
///
/// If something does not.
pub fn check(machine: &Machine, module: &Module) -> Books {
    let books = Books::read(machine, module);
    let cpu = machine.cpu(0, 0);
    check_module(machine, module);
    let mut keyids = BTreeMap::new();
    for tdr in books.of_type(PageType::Tdr) {
        check_td(&cpu, &books, tdr);
        let lifecycle = Lifecycle::from_raw(tdr::fields::LIFECYCLE_STATE.load(&cpu, tdr));
        let state = match lifecycle.expect("a life cycle state") {
            Lifecycle::Teardown => continue,
            Lifecycle::Blocked => KeyIdState::Flushed,
            Lifecycle::HkidAssigned | Lifecycle::KeysConfigured => KeyIdState::Assigned,
        };
        let hkid = tdr::fields::HKID.load(&cpu, tdr) as u16;
        assert_eq!(module.kot.state(hkid), Some(state), "KeyID of TD {tdr:#x}");
        let other = keyids.insert(hkid, tdr);
        assert_eq!(other, None, "KeyID {hkid} has two TDs");
    }
    for hkid in machine.config.private_keyids() {
        let state = module.kot.state(hkid).expect("a KeyID");
        assert_eq!(
            matches!(state, KeyIdState::Assigned | KeyIdState::Flushed),
            keyids.contains_key(&hkid),
            "KeyID {hkid}"
        );
    }
    for (pa, page) in books.pages() {
        let owner = books.at(page.owner).map(|(_, owner)| owner.page_type);
        match page.page_type {
            PageType::Tdr => assert_eq!(page.owner, 0, "owner of TDR {pa:#x}"),
            _ => assert_eq!(owner, Some(PageType::Tdr), "owner of page {pa:#x}"),
        }
    }
    books
}

/// Checks that nothing of the module's own is locked.
fn check_module(machine: &Machine, module: &Module) {
    let free = |taken: bool, lock| assert!(taken, "{lock} is locked");
    free(
        module.global_lock().acquire(Mode::Exclusive).is_some(),
        "the module",
    );
    free(
        module.kot.lock().acquire(Mode::Exclusive).is_some(),
        "the KOT",
    );
    for wbt in module.wbt.iter().take(machine.config.nr_packages as usize) {
        free(wbt.lock().acquire(Mode::Exclusive).is_some(), "a WBT entry");
    }
    for tdmr in module.tdmrs.iter() {
        free(tdmr.lock().acquire(Mode::Exclusive).is_some(), "a TDMR");
    }
}

/// Checks the books of one TD.
fn check_td(cpu: &Cpu<'_>, books: &Books, tdr: u64) {
    let owned = books.pages().filter(|(_, page)| page.owner == tdr);
    let pages: u64 = owned.clone().map(|(_, page)| page.level.pages()).sum();
    let children = tdr::fields::CHLDCNT.load(cpu, tdr);
    assert_eq!(children, pages, "children of TD {tdr:#x}");

    let lifecycle = Lifecycle::from_raw(tdr::fields::LIFECYCLE_STATE.load(cpu, tdr));
    let has_tdcs = tdr::fields::NUM_TDCX.load(cpu, tdr) >= tdcs::BASE_PAGES;
    // In teardown pages go back to the host one by one, the tables among them.
    if lifecycle == Some(Lifecycle::Teardown) || !has_tdcs {
        return;
    }
    let tdcs = Tdcs::new(cpu, tdr);
    if tdcs.get(tdcs::fields::OP_STATE) == OpState::Uninitialized.raw() {
        return;
    }
    let locks = [
        tdcs::fields::OP_STATE_LOCK,
        tdcs::fields::EPOCH_LOCK,
        tdcs::fields::SEPT_TREE_LOCK,
        tdcs::fields::RTMR_LOCK,
    ];
    for lock in locks {
        // All but the bit that asks for host priority.
        assert_eq!(tdcs.get(lock) & !2, 0, "{lock:?} of TD {tdr:#x} is locked");
    }

    let mut from_sept = BTreeMap::new();
    let root = Tdcs::new(cpu, tdr).page(tdcs::fields::SEPT_ROOT.offset / 0x1000);
    let level = (tdcs.get(tdcs::fields::EPTP) >> 3) & 7;
    let level = Level::from_raw(level).expect("a level");
    walk(cpu, tdr, root, level, &mut from_sept);
    let from_pamt = owned
        .filter(|(_, page)| matches!(page.page_type, PageType::Reg | PageType::Ept))
        .collect();
    assert_eq!(from_sept, from_pamt, "S-EPT and PAMT of TD {tdr:#x}");
}

/// Finds what the table page at `table` and those below it use.
fn walk(cpu: &Cpu<'_>, tdr: u64, table: u64, level: Level, uses: &mut BTreeMap<u64, Use>) {
    for index in 0..Level::ENTRIES {
        let raw = cpu.load(table + index * 8);
        let locked = raw & Entry::LOCKED_MASK != 0;
        assert!(!locked, "entry {index} of table {table:#x} is locked");
        let entry = Entry::from_raw(raw);
        let state = entry.state().expect("a state");
        if state.is_empty() {
            continue;
        }
        let pa = entry.pfn().pa();
        let (page_type, size) = if state.is_leaf() {
            (PageType::Reg, level)
        } else {
            (PageType::Ept, Level::K4)
        };
        let new = Use {
            page_type,
            owner: tdr,
            level: size,
        };
        assert_eq!(uses.insert(pa, new), None, "page {pa:#x} has two places");
        if let (Some(below), State::NlMapped | State::NlBlocked) = (level.down(), state) {
            walk(cpu, tdr, pa, below, uses);
        }
    }
}
