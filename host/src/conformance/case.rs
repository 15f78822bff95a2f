// SPDX-License-Identifier: GPL-2.0

//! A call that is about to be made, on a machine of its own.

use super::fixture::{
    SEPT_ROOT,
    TABLES,
    TDCX,
    TDR,
    TDVPR, //
};
use crate::{
    abi::{
        Args,
        Leaf,
        Level,
        Operand,
        PageType,
        Rax,
        Status, //
    },
    sim::model::{
        field::Field,
        lock::{
            Guard,
            Lock,
            Mode,
            Word, //
        },
        pamt,
        platform::Platform,
        tdcs::{
            self,
            Tdcs, //
        },
        tdvps::Tdvps, //
    },
    world::World, //
};

/// The bit of a PAMT entry's lock and of OP_STATE's that asks for priority.
const PRIORITY: u64 = 2;
/// Bits of a secure EPT entry: locked, and priority asked for.
const ENTRY_LOCKED: u64 = 1 << 11;
const ENTRY_PRIORITY: u64 = 1 << 52;

/// A register of `args`.
///
/// # Panics
///
/// If the operand is no register that holds arguments.
pub fn register(args: &mut Args, operand: Operand) -> &mut u64 {
    match operand {
        Operand::RCX => &mut args.rcx,
        Operand::RDX => &mut args.rdx,
        Operand::R8 => &mut args.r8,
        Operand::R9 => &mut args.r9,
        Operand::R10 => &mut args.r10,
        Operand::R11 => &mut args.r11,
        _ => panic!("{operand:?} is no register"),
    }
}

/// A call, and what will have changed after it if it fails.
pub struct Case {
    /// The machine and the module, which only this call uses.
    pub world: World,
    /// The logical processor that calls.
    pub lp: u32,
    /// RAX.
    pub rax: u64,
    /// The other registers.
    pub args: Args,
    /// Registers that the failing call returns, where they do not stay as they are.
    returns: Vec<(Operand, u64)>,
    /// Bits of words of memory that the failing call sets.
    sets: Vec<(u64, u64)>,
    /// Pages that the failing call may change.
    spoils: Vec<u64>,
    /// The failing call may change the module's own memory.
    keeps_progress: bool,
    /// Locks are held shared only.
    pub(super) only_shared: bool,
    /// A lock is held shared that the call takes shared.
    pub(super) shared: bool,
}

impl Case {
    /// A call of version 0 of `leaf` on processor 0.
    pub fn new(world: World, leaf: Leaf, args: Args) -> Self {
        Self {
            world,
            lp: 0,
            rax: Rax::from(leaf).into_raw(),
            args,
            returns: Vec::new(),
            sets: Vec::new(),
            spoils: Vec::new(),
            keeps_progress: false,
            only_shared: false,
            shared: false,
        }
    }

    /// Asks for another version of the leaf.
    pub fn version(mut self, version: u64) -> Self {
        self.rax = self.rax & 0xFFFF | version << 16;
        self
    }

    /// A register to change.
    pub fn reg(&mut self, operand: Operand) -> &mut u64 {
        register(&mut self.args, operand)
    }

    /// The failing call returns `value` in a register.
    pub fn returns(&mut self, operand: Operand, value: u64) {
        self.returns.push((operand, value));
    }

    /// The failing call reports an entry in RCX and RDX: what it shows of it, its level and the
    /// number of its state.
    pub fn reports(&mut self, entry: u64, level: u64, state: u64) {
        self.returns(Operand::RCX, entry);
        self.returns(Operand::RDX, level | state << 8);
    }

    /// The failing call may leave anything in the page at `pa`.
    pub fn spoils(&mut self, pa: u64) {
        self.spoils.push(pa);
    }

    /// The failing call sets bits of a word of memory.
    pub fn sets(&mut self, pa: u64, bits: u64) {
        self.sets.push((pa, bits));
    }

    /// The PAMT entry of the page of `level` at `pa`.
    fn pamt_entry(&self, pa: u64, level: Level) -> u64 {
        let tdmr = self.world.module.tdmrs.covering(pa);
        tdmr.expect("a page that TDX covers").pamt_entry(level, pa)
    }

    /// Gives a page a type and an owner.
    pub fn set_page(&self, pa: u64, level: Level, page_type: PageType, owner: u64) {
        pamt::Entry::new(&self.world.cpu(1), self.pamt_entry(pa, level)).set(page_type, owner);
    }

    /// The failing call may leave anything in the TDCS, which nobody reads before it is complete.
    pub fn spoils_td(&mut self) {
        (0..6).for_each(|n| self.spoils(TDCX + n * 4096));
    }

    /// The failing call may leave how far it got in the module's own memory.
    pub fn keeps_progress(&mut self) {
        self.keeps_progress = true;
    }

    /// Another processor writes `value` to the word at `pa` when the call is about to change it.
    pub fn meddle(&mut self, pa: u64, value: u64) {
        self.world.machine.meddler.get_or_init(|| (pa, value));
        self.spoils(pa & !0xFFF);
    }

    /// Sets a field of the TDR.
    pub fn set_tdr(&self, field: Field, value: u64) {
        field.store(&self.world.cpu(1), TDR, value);
    }

    /// Sets a field of the TDCS.
    pub fn set_tdcs(&self, field: Field, value: u64) {
        Tdcs::new(&self.world.cpu(1), TDR).set(field, value);
    }

    /// Sets a field of the vCPU.
    pub fn set_tdvps(&self, field: Field, value: u64) {
        Tdvps::new(&self.world.cpu(1), TDVPR).set(field, value);
    }

    /// Sets an MSR of all processors.
    pub fn set_msr(&self, msr: u32, value: u64) {
        let msrs = &self.world.machine.msrs;
        msrs.lock().expect("no panic in here").insert(msr, value);
    }

    /// Where the entry of `level` for `gpa` is in the secure EPT.
    pub fn entry_pa(&self, gpa: u64, level: Level) -> u64 {
        let table = TABLES.get(level as usize).copied().unwrap_or(SEPT_ROOT);
        table + (gpa >> level.shift()) % 512 * 8
    }

    /// Replaces the entry of `level` for `gpa`.
    pub fn set_entry(&self, gpa: u64, level: Level, entry: u64) {
        self.world.poke(self.entry_pa(gpa, level), entry);
    }

    /// Another processor holds a lock, in a way that is in the way of one who takes it in `mode`,
    /// and keeps it.
    fn hold<W: Word, const SHIFT: u32, const HP: bool>(
        lock: Lock<W, SHIFT, HP>,
        mode: Mode,
        only_shared: bool,
    ) -> bool {
        let held = if only_shared || mode == Mode::Exclusive {
            Mode::Shared
        } else {
            Mode::Exclusive
        };
        let guard: Option<Guard<W, SHIFT, HP>> = lock.acquire(held);
        // It may be held already, for another check.
        std::mem::forget(guard);
        only_shared && mode == Mode::Shared
    }

    /// Another processor holds the global lock, which the leaf takes in `mode`.
    pub fn hold_global(&mut self, mode: Mode) {
        let lock = self.world.module.global_lock();
        self.shared |= Self::hold(lock, mode, self.only_shared);
    }

    /// Another processor holds the lock of the KOT, which the leaf takes in `mode`.
    pub fn hold_kot(&mut self, mode: Mode) {
        let lock = self.world.module.kot.lock();
        self.shared |= Self::hold(lock, mode, self.only_shared);
    }

    /// Another processor of the package writes back caches.
    pub fn hold_wbt(&mut self) {
        let package = self.world.cpu(self.lp).lp().package;
        let lock = self.world.module.wbt[package as usize].lock();
        self.shared |= Self::hold(lock, Mode::Exclusive, self.only_shared);
    }

    /// Another processor initialises the first TDMR.
    pub fn hold_tdmr(&mut self) {
        let tdmr = self.world.module.tdmrs.iter().next();
        let lock = tdmr.expect("a TDMR").lock();
        let shared = Self::hold(lock, Mode::Exclusive, self.only_shared);
        self.shared |= shared;
    }

    /// Another processor holds the PAMT entry of a page, which the leaf takes in `mode`.
    pub fn hold_page(&mut self, pa: u64, level: Level, mode: Mode) {
        let entry = self.pamt_entry(pa, level);
        let cpu = self.world.cpu(1);
        let lock = pamt::Entry::new(&cpu, entry).lock();
        let shared = Self::hold(lock, mode, self.only_shared);
        self.shared |= shared;
        self.sets.push((entry, PRIORITY));
    }

    /// Another processor holds the lock of OP_STATE, which all leaves take shared that take it.
    pub fn hold_op_state(&mut self) {
        let cpu = self.world.cpu(1);
        let tdcs = Tdcs::new(&cpu, TDR);
        self.shared |= Self::hold(tdcs.op_state_lock(), Mode::Shared, self.only_shared);
        let word = tdcs.word(tdcs::fields::OP_STATE).pa();
        self.sets.push((word, PRIORITY << 32));
    }

    /// Another processor holds the lock of the secure EPT, which the leaf takes in `mode`.
    pub fn hold_tree(&mut self, mode: Mode) {
        let cpu = self.world.cpu(1);
        let lock = Tdcs::new(&cpu, TDR).sept_tree_lock();
        self.shared |= Self::hold(lock, mode, self.only_shared);
    }

    /// Another processor holds the lock of the epoch, which the leaf takes in `mode`.
    pub fn hold_epoch(&mut self, mode: Mode) {
        let cpu = self.world.cpu(1);
        let lock = Tdcs::new(&cpu, TDR).epoch_lock();
        self.shared |= Self::hold(lock, mode, self.only_shared);
    }

    /// Another processor has locked the entry of `level` for `gpa`.
    pub fn hold_entry(&mut self, gpa: u64, level: Level) {
        let pa = self.entry_pa(gpa, level);
        if !self.only_shared {
            self.world
                .poke(pa, self.world.machine.ram.load(pa) | ENTRY_LOCKED);
        }
        self.sets.push((pa, ENTRY_PRIORITY));
    }

    /// Makes the call.
    pub fn call(&self) -> (Status, Args) {
        self.world.call(self.lp, Rax::from_raw(self.rax), self.args)
    }

    /// Makes the call, which has to end with `status` and return `out` but for what was said to be
    /// different.
    pub(super) fn run(&self, status: Status, mut out: Args) -> Result<(), String> {
        let memory = self.world.machine.ram.clone();
        let module = self.world.module_words();
        let (found, args) = self.call();
        if found != status {
            return Err(format!("{found}, not {status}"));
        }
        for (operand, value) in &self.returns {
            *register(&mut out, *operand) = *value;
        }
        if args != out {
            return Err(format!("returned {args:x?}, not {out:x?}"));
        }
        if !self.keeps_progress && self.world.module_words() != module {
            return Err("the module's memory has changed".into());
        }
        let after = &self.world.machine.ram;
        for pa in after.differences(&memory) {
            let set = self.sets.iter().find(|(word, _)| *word == pa);
            let expected = memory.load(pa) | set.map_or(0, |(_, bits)| *bits);
            if after.load(pa) != expected && !self.spoils.contains(&(pa & !0xFFF)) {
                let (before, after) = (memory.load(pa), after.load(pa));
                return Err(format!("{pa:#x} was {before:#x} and is {after:#x}"));
            }
        }
        match self
            .sets
            .iter()
            .find(|(pa, bits)| after.load(*pa) & bits != *bits)
        {
            Some((pa, bits)) => Err(format!("{bits:#x} was not set in {pa:#x}")),
            None => Ok(()),
        }
    }
}
