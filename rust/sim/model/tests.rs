// SPDX-License-Identifier: GPL-2.0

//! A module on a machine of the build host, and tests of the leaves' checks in their order.

mod random;

use super::{
    kot::KeyIdState,
    lock::{
        Mode,
        Word, //
    },
    metadata::{
        global,
        NULL_ID, //
    },
    platform::{
        Profile,
        Range, //
    },
    tdcs,
    tdr,
    Exit,
    Module,
    Regs,
    SysState, //
};
use crate::{
    abi::{
        metadata::{
            self,
            FieldId, //
        },
        state::Lifecycle,
        Args,
        Leaf,
        Operand,
        PageType,
        Rax,
        Status, //
    },
    layout,
    platform::Machine, //
};
use std::sync::atomic::Ordering::Relaxed;

const GIB: u64 = 1 << 30;
const TDMR: Range = Range {
    base: layout::TDMR_BASE,
    size: GIB,
};
const PAMT_1G: u64 = 0x8000_0000;
const PAMT_2M: u64 = 0x8000_1000;
const PAMT_4K: u64 = 0x8040_0000;
const TDMR_ARRAY: u64 = 0x0100_1000;
const TDMR_INFO: u64 = 0x0100_0000;
const TD_PARAMS: u64 = 0x0200_0000;
const GLOBAL_KEYID: u64 = 32;

/// A machine with two logical processors and a module on it.
pub(super) struct Sim {
    pub(super) machine: Machine,
    pub(super) module: Module,
}

impl Sim {
    /// A module that was just loaded.
    pub(super) fn cold(profile: Profile) -> Self {
        let sim = Self {
            machine: Machine::new(layout::config(profile, 1), layout::RAM_SIZE),
            module: Module::new(),
        };
        let words = [
            TDMR.base, TDMR.size, PAMT_1G, 0x1000, PAMT_2M, 0x2000, PAMT_4K, 0x40_0000,
        ];
        for (i, word) in words.into_iter().enumerate() {
            sim.poke(TDMR_INFO + i as u64 * 8, word);
        }
        sim.poke(TDMR_ARRAY, TDMR_INFO);
        for (offset, word) in [(8, 3), (16, 2), (24, 0x1E), (40, 40)] {
            sim.poke(TD_PARAMS + offset, word);
        }
        sim
    }

    /// A module that is READY and has all of its TDMR.
    pub(super) fn new(profile: Profile) -> Self {
        Self::with_reserved(profile, &[])
    }

    /// The same with reserved areas in the TDMR: offset and size of each.
    pub(super) fn with_reserved(profile: Profile, areas: &[(u64, u64)]) -> Self {
        let sim = Self::cold(profile);
        for (pa, (offset, size)) in (TDMR_INFO + 64..).step_by(16).zip(areas) {
            sim.poke(pa, *offset);
            sim.poke(pa + 8, *size);
        }
        sim.ok(Leaf::SysInit, &[]);
        for lp in 0..2 {
            assert_eq!(sim.call(lp, Leaf::SysLpInit, &[]).0, Status::SUCCESS);
        }
        sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
        sim.ok(Leaf::SysKeyConfig, &[]);
        while sim.ok(Leaf::SysTdmrInit, &[TDMR.base]).rdx < TDMR.end() {}
        sim
    }

    pub(super) fn poke(&self, pa: u64, word: u64) {
        self.machine.write(pa, &word.to_le_bytes());
    }

    pub(super) fn peek(&self, pa: u64) -> u64 {
        let mut bytes = [0; 8];
        self.machine.read(pa, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A SEAMCALL with RCX, RDX, R8 and R9 from `inputs`, the rest 0.
    pub(super) fn call(&self, lp: u32, leaf: impl Into<Rax>, inputs: &[u64]) -> (Status, Args) {
        let input = |i| inputs.get(i).copied().unwrap_or(0);
        let mut regs = Regs {
            rax: leaf.into().into_raw(),
            args: Args {
                rcx: input(0),
                rdx: input(1),
                r8: input(2),
                r9: input(3),
                ..Args::default()
            },
        };
        // The processors take turns with the packages.
        let cpu = self.machine.cpu(lp, lp % self.machine.config.nr_packages);
        assert_eq!(self.module.seamcall(&cpu, &mut regs), Exit::Completed);
        (Status::from_raw(regs.rax), regs.args)
    }

    /// A SEAMCALL on processor 0 that must succeed.
    #[track_caller]
    pub(super) fn ok(&self, leaf: Leaf, inputs: &[u64]) -> Args {
        let (status, args) = self.call(0, leaf, inputs);
        assert_eq!(status, Status::SUCCESS, "{}", leaf.name());
        args
    }

    /// A SEAMCALL on processor 0 that must end with `status`.
    #[track_caller]
    pub(super) fn fails(&self, leaf: Leaf, inputs: &[u64], status: Status) -> Args {
        let (found, args) = self.call(0, leaf, inputs);
        assert_eq!(found, status, "{}", leaf.name());
        args
    }

    /// Page `n` of the memory that TDX covers.
    pub(super) fn page(n: u64) -> u64 {
        TDMR.base + n * 4096
    }

    /// Makes a TD with its key configured: TDR page `n`.
    pub(super) fn create(&self, n: u64, hkid: u64) -> u64 {
        let tdr = Self::page(n);
        self.ok(Leaf::MngCreate, &[tdr, hkid]);
        self.ok(Leaf::MngKeyConfig, &[tdr]);
        tdr
    }

    /// Makes a TD up to TDH.MNG.INIT: TDR page `n`, TDCX in the pages after it.
    pub(super) fn init(&self, n: u64, hkid: u64) -> u64 {
        let tdr = self.create(n, hkid);
        for i in 1..=tdcs::BASE_PAGES {
            self.ok(Leaf::MngAddcx, &[Self::page(n + i), tdr]);
        }
        self.ok(Leaf::MngInit, &[tdr, TD_PARAMS]);
        tdr
    }

    /// Frees the KeyID of a TD.
    pub(super) fn free_keyid(&self, tdr: u64) {
        self.ok(Leaf::MngVpflushdone, &[tdr]);
        self.ok(Leaf::PhymemCacheWb, &[0]);
        self.ok(Leaf::MngKeyFreeid, &[tdr]);
    }

    fn read_td(&self, tdr: u64, id: FieldId) -> u64 {
        self.ok(Leaf::MngRd, &[tdr, id.into_raw()]).r8
    }
}

fn invalid(operand: Operand) -> Status {
    Status::OPERAND_INVALID.with(operand)
}

#[test]
fn dispatch_checks_rax_then_state() {
    let sim = Sim::cold(Profile::Current);
    for (rax, status) in [
        (1 << 24, invalid(Operand::RAX)),
        ((1 << 32) | 33, invalid(Operand::RAX)),
        ((1 << 16) | 9, invalid(Operand::RAX)),
        // Version 2 is for the leaf to refuse, which does not run yet.
        ((2 << 16) | 11, Status::SYS_NOT_READY),
        (9, Status::SYS_NOT_READY),
        (46, Status::SYS_NOT_READY),
    ] {
        assert_eq!(sim.call(0, Rax::from_raw(rax), &[]).0, status, "{rax:#x}");
    }
    let sim = Sim::new(Profile::Current);
    assert_eq!(sim.call(0, Rax::from_raw(46), &[]).0, invalid(Operand::RAX));
    assert_eq!(
        sim.call(0, Rax::from_raw((2 << 16) | 11), &[]).0,
        invalid(Operand::RAX)
    );
    sim.fails(Leaf::ExportMem, &[], invalid(Operand::RAX));
}

#[test]
fn old_module_lacks_what_linux_wants() {
    let old = Sim::new(Profile::V1_5_01);
    let vp_init = Rax::new(Leaf::VpInit, 1);
    let max_vcpus = metadata::global::MAX_VCPUS_PER_TD.into_raw();
    assert_eq!(old.call(0, vp_init, &[]).0, invalid(Operand::RAX));
    old.fails(Leaf::SysDisable, &[], invalid(Operand::RAX));
    old.fails(
        Leaf::SysRd,
        &[0, max_vcpus],
        Status::METADATA_FIELD_ID_INCORRECT,
    );

    let new = Sim::new(Profile::Current);
    assert_ne!(new.call(0, vp_init, &[]).0, invalid(Operand::RAX));
    assert_eq!(new.ok(Leaf::SysRd, &[0, max_vcpus]).r8, 0xFFFF);
}

#[test]
fn seamldr_leaves_and_a_disabled_module_fail_without_trace() {
    let sim = Sim::new(Profile::Current);
    let mut regs = Regs {
        rax: 1 << 63,
        ..Regs::default()
    };
    let before = regs;
    assert_eq!(
        sim.module.seamcall(&sim.machine.cpu(0, 0), &mut regs),
        Exit::VmFailInvalid
    );
    assert_eq!(regs, before);

    sim.ok(Leaf::SysDisable, &[]);
    let mut regs = Regs {
        rax: u64::from(Leaf::SysRd.raw()),
        ..Regs::default()
    };
    let before = regs;
    assert_eq!(
        sim.module.seamcall(&sim.machine.cpu(0, 0), &mut regs),
        Exit::VmFailInvalid
    );
    assert_eq!(regs, before);
}

#[test]
fn sys_init() {
    let sim = Sim::cold(Profile::Current);
    let guard = sim.module.global_lock().acquire(Mode::Shared);
    sim.fails(Leaf::SysInit, &[1], Status::SYS_BUSY);
    drop(guard);
    sim.fails(Leaf::SysInit, &[1], invalid(Operand::RCX));
    sim.machine.no_entropy.store(true, Relaxed);
    sim.fails(Leaf::SysInit, &[], Status::RND_NO_ENTROPY);
    sim.machine.no_entropy.store(false, Relaxed);
    sim.ok(Leaf::SysInit, &[]);
    sim.fails(Leaf::SysInit, &[], Status::SYS_INIT_NOT_PENDING);
    assert_eq!(sim.module.state(), SysState::InitDone);
}

#[test]
fn sys_lp_init() {
    let sim = Sim::cold(Profile::Current);
    sim.fails(Leaf::SysLpInit, &[], Status::SYS_LP_INIT_NOT_PENDING);
    sim.ok(Leaf::SysInit, &[]);
    let guard = sim.module.global_lock().acquire(Mode::Exclusive);
    sim.fails(Leaf::SysLpInit, &[], Status::SYS_BUSY);
    drop(guard);
    sim.ok(Leaf::SysLpInit, &[]);
    sim.fails(Leaf::SysLpInit, &[], Status::SYS_LP_INIT_DONE);
    let array = [TDMR_ARRAY, 1, GLOBAL_KEYID];
    sim.fails(Leaf::SysConfig, &array, Status::SYS_CONFIG_NOT_PENDING);
    assert_eq!(sim.call(1, Leaf::SysLpInit, &[]).0, Status::SUCCESS);
    sim.ok(Leaf::SysConfig, &array);
}

/// A module that waits for TDH.SYS.CONFIG.
fn before_config() -> Sim {
    let sim = Sim::cold(Profile::Current);
    sim.ok(Leaf::SysInit, &[]);
    for lp in 0..2 {
        assert_eq!(sim.call(lp, Leaf::SysLpInit, &[]).0, Status::SUCCESS);
    }
    sim
}

#[test]
fn sys_config_checks_operands() {
    let sim = before_config();
    for (inputs, operand) in [
        ([TDMR_ARRAY + 8, 1, GLOBAL_KEYID], Operand::RCX),
        ([TDMR_ARRAY | (1 << 52), 1, GLOBAL_KEYID], Operand::RCX),
        ([TDMR_ARRAY | (32 << 46), 1, GLOBAL_KEYID], Operand::RCX),
        ([0x7000_0000, 1, GLOBAL_KEYID], Operand::RCX),
        ([TDMR_ARRAY, 0, GLOBAL_KEYID], Operand::RDX),
        ([TDMR_ARRAY, 65, GLOBAL_KEYID], Operand::RDX),
        ([TDMR_ARRAY, 1, 31], Operand::R8),
        ([TDMR_ARRAY, 1, 64], Operand::R8),
        ([TDMR_ARRAY, 1, (1 << 16) | 33], Operand::R8),
    ] {
        sim.fails(Leaf::SysConfig, &inputs, invalid(operand));
    }
    assert_eq!(sim.module.kot.state(32), Some(KeyIdState::Free));
}

#[test]
fn sys_config_checks_tdmr_info() {
    // Word of TDMR_INFO, its value, and what SYS.CONFIG says to it.
    let cases = [
        (0, u64::MAX << 30, Status::INVALID_TDMR),
        (0, TDMR.base + 4096, Status::INVALID_TDMR),
        (0, TDMR.base | (1 << 46), Status::INVALID_TDMR),
        (1, 0, Status::INVALID_TDMR),
        (1, 2 * GIB, Status::INVALID_PAMT.with_detail(0x200)),
        (2, PAMT_1G + 8, Status::INVALID_PAMT.with_detail(0x200)),
        (3, 0, Status::INVALID_PAMT.with_detail(0x200)),
        (5, 0x1000, Status::INVALID_PAMT.with_detail(0x100)),
        (6, TDMR.base, Status::PAMT_OVERLAP),
        (6, PAMT_2M, Status::PAMT_OVERLAP),
        (6, 0x100_0000, Status::PAMT_OUTSIDE_CMRS),
        (0, 2 * TDMR.base, Status::TDMR_OUTSIDE_CMRS),
    ];
    for (word, value, status) in cases {
        let sim = before_config();
        let pa = TDMR_INFO + word * 8;
        let sound = sim.peek(pa);
        sim.poke(pa, value);
        if word == 1 && value == 2 * GIB {
            // The larger PAMT of 1G pages is the first to be too small.
            sim.poke(TDMR_INFO + 3 * 8, 0);
        }
        let inputs = [TDMR_ARRAY, 1, GLOBAL_KEYID];
        sim.fails(Leaf::SysConfig, &inputs, status);
        sim.poke(pa, sound);
        sim.poke(TDMR_INFO + 3 * 8, 0x1000);
        sim.ok(Leaf::SysConfig, &inputs);
    }
}

#[test]
fn sys_config_checks_reserved_areas() {
    let cases: [(&[u64], Status); 7] = [
        // The area that is missing is at fault, not the one after it.
        (
            &[0, 0, 0x1000, 0x1000],
            Status::NON_ORDERED_RESERVED_IN_TDMR,
        ),
        (&[0x800, 0x1000], Status::INVALID_RESERVED_IN_TDMR),
        (&[0, 0x800], Status::INVALID_RESERVED_IN_TDMR),
        (&[GIB, 0x1000], Status::INVALID_RESERVED_IN_TDMR),
        (&[u64::MAX, 0x1000], Status::INVALID_RESERVED_IN_TDMR),
        (
            &[0x1000, 0x2000, 0x2000, 0x1000],
            Status::NON_ORDERED_RESERVED_IN_TDMR.with_detail(0x100),
        ),
        (&[0x1000, 0x1000, 0x2000, 0x1000], Status::SUCCESS),
    ];
    for (areas, status) in cases {
        let sim = before_config();
        for (i, word) in areas.iter().enumerate() {
            sim.poke(TDMR_INFO + 64 + i as u64 * 8, *word);
        }
        sim.fails(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID], status);
    }
}

#[test]
fn tdmr_init_goes_gigabyte_by_gigabyte_and_marks_reserved_areas() {
    let sim = before_config();
    sim.poke(TDMR_INFO + 64, 0x3000);
    sim.poke(TDMR_INFO + 72, 0x2000);
    sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
    sim.fails(Leaf::SysTdmrInit, &[TDMR.base], Status::SYS_NOT_READY);
    sim.ok(Leaf::SysKeyConfig, &[]);
    sim.fails(Leaf::SysTdmrInit, &[TDMR.base + 1], invalid(Operand::RCX));
    sim.fails(Leaf::SysTdmrInit, &[0], invalid(Operand::RCX));
    for step in 1..=256 {
        let next = sim.ok(Leaf::SysTdmrInit, &[TDMR.base]).rdx;
        assert_eq!(next, if step == 256 { TDMR.end() } else { TDMR.base });
        let page = Sim::page(0);
        if step < 256 {
            let outside = Status::OPERAND_ADDR_RANGE_ERROR.with(Operand::RCX);
            sim.fails(Leaf::PhymemPageRdmd, &[page], outside);
        }
    }
    sim.fails(
        Leaf::SysTdmrInit,
        &[TDMR.base],
        Status::TDMR_ALREADY_INITIALIZED,
    );
    let page_type = |n| sim.ok(Leaf::PhymemPageRdmd, &[Sim::page(n)]).rcx;
    let types: Vec<_> = (0..8).map(page_type).collect();
    assert_eq!(types, [0, 0, 0, 1, 1, 0, 0, 0]);
    let reserved = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(Leaf::MngCreate, &[Sim::page(3), 33], reserved);
    sim.fails(Leaf::PhymemPageReclaim, &[Sim::page(3)], reserved);
}

#[test]
fn global_fields_are_listed_once() {
    let sim = Sim::new(Profile::Current);
    let first = sim.fails(
        Leaf::SysRd,
        &[0, NULL_ID],
        Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT,
    );
    let mut id = first.rdx;
    let mut count = 0;
    while id != NULL_ID {
        id = sim.ok(Leaf::SysRd, &[0, id]).rdx;
        count += 1;
    }
    let expected: u32 = metadata::global::ALL.iter().map(global::elements).sum();
    assert_eq!(count, expected);

    // RDALL gives the same fields.
    let buffer = 0x0300_0000;
    let out = sim.ok(Leaf::SysRdall, &[0, buffer, NULL_ID]);
    assert_eq!(out.r8, NULL_ID);
    let header = sim.peek(buffer);
    assert_eq!(header >> 16, metadata::global::ALL.len() as u64);
    assert_eq!(
        header & 0xFFFF,
        8 + 8 * u64::from(expected) + 8 * (header >> 16)
    );
}

#[test]
fn sys_info_checks_its_buffers_in_order() {
    let sim = Sim::cold(Profile::V1_5_01);
    let (info, cmrs) = (0x0300_0000, 0x0300_1000);
    sim.fails(
        Leaf::SysInfo,
        &[info, 1024, cmrs, 32],
        Status::SYS_LP_INIT_NOT_DONE,
    );
    let sim = Sim::new(Profile::V1_5_01);
    for (inputs, operand) in [
        ([info + 512, 0, 1, 0], Operand::RCX),
        ([info, 1023, 1, 0], Operand::RDX),
        ([info, 1024, cmrs + 256, 0], Operand::R8),
        ([info, 1024, cmrs, 31], Operand::R9),
    ] {
        let out = sim.fails(Leaf::SysInfo, &inputs, invalid(operand));
        assert_eq!((out.rdx, out.r9), (0, 0));
    }
    let out = sim.ok(Leaf::SysInfo, &[info, 4096, cmrs, 40]);
    assert_eq!((out.rdx, out.r9), (1024, 32));
    // Vendor; version 1.5; TDMRs, reserved areas and size of PAMT entries; sizes of TDCS and TDVPS.
    assert_eq!(sim.peek(info) >> 32, 0x8086);
    assert_eq!(sim.peek(info + 8) >> 48, 5);
    assert_eq!(sim.peek(info + 16), 0x1_0001);
    assert_eq!(sim.peek(info + 32), 64 | (16 << 16) | (16 << 32));
    assert_eq!(sim.peek(info + 48), 24576 | (24576 << 32));
    assert_eq!(
        (sim.peek(cmrs + 16), sim.peek(cmrs + 24)),
        (TDMR.base, TDMR.size)
    );
    assert_eq!(sim.peek(cmrs + 32), 0);
}

#[test]
fn a_module_that_was_shut_down_does_nothing_more() {
    let sim = Sim::new(Profile::V1_5_01);
    sim.fails(Leaf::SysShutdown, &[1], invalid(Operand::RCX));
    let guard = sim.module.global_lock().acquire(Mode::Shared);
    sim.fails(Leaf::SysShutdown, &[0], Status::SYS_BUSY);
    drop(guard);
    sim.ok(Leaf::SysShutdown, &[0]);
    sim.fails(Leaf::SysRd, &[0, NULL_ID], Status::SYS_SHUTDOWN);
    sim.fails(Leaf::SysInit, &[], Status::SYS_SHUTDOWN);
    sim.ok(Leaf::SysLpShutdown, &[]);
}

#[test]
fn there_is_no_module_to_take_over_from() {
    let sim = Sim::cold(Profile::Current);
    sim.fails(Leaf::SysUpdate, &[], Status::SYS_STATE_INCORRECT);
    before_config().fails(Leaf::SysUpdate, &[], Status::SYS_INVALID_HANDOFF);
}

#[test]
fn what_linux_reads_is_there() {
    use metadata::global as g;
    let sim = Sim::new(Profile::Current);
    let read = |id: FieldId| sim.ok(Leaf::SysRd, &[0, id.into_raw()]).r8;
    assert_eq!(
        read(g::TDX_FEATURES0) & ((1 << 18) | (1 << 20)),
        (1 << 18) | (1 << 20)
    );
    assert_eq!(read(g::TDX_FEATURES0) & 0b1000_0111, 0);
    assert_eq!(
        (read(g::MAX_TDMRS), read(g::MAX_RESERVED_PER_TDMR)),
        (64, 16)
    );
    assert_eq!(read(g::TDCS_BASE_SIZE), 6 * 4096);
    assert_eq!(read(g::ATTRIBUTES_FIXED0) & (1 << 28), 1 << 28);
    assert_eq!(read(g::XFAM_FIXED1), 3);
    assert_eq!(read(g::NUM_CPUID_CONFIG), 12);
    assert_eq!(
        read(g::CPUID_CONFIG_LEAVES.element(9)),
        0xFFFF_FFFF_8000_0008
    );
    assert_eq!(read(g::CPUID_CONFIG_LEAVES.element(12)), u64::MAX);
    assert_eq!(read(g::CPUID_CONFIG_VALUES), 0x00FF_0000_0FFF_3FFF);
}

#[test]
fn mng_create() {
    let sim = Sim::new(Profile::Current);
    let page = Sim::page(1);
    sim.fails(Leaf::MngCreate, &[page, 31], invalid(Operand::RDX));
    sim.fails(
        Leaf::MngCreate,
        &[page, (1 << 16) | 33],
        invalid(Operand::RDX),
    );
    sim.fails(Leaf::MngCreate, &[page + 8, 33], invalid(Operand::RCX));
    sim.fails(
        Leaf::MngCreate,
        &[page | (33 << 46), 33],
        invalid(Operand::RCX),
    );
    let outside = Status::OPERAND_ADDR_RANGE_ERROR.with(Operand::RCX);
    sim.fails(Leaf::MngCreate, &[0x1000, 33], outside);
    sim.fails(Leaf::MngCreate, &[page, 32], Status::HKID_NOT_FREE);
    let guard = sim.module.kot.lock().acquire(Mode::Shared);
    let busy = Status::OPERAND_BUSY.with(Operand::KOT);
    sim.fails(Leaf::MngCreate, &[page, 33], busy);
    drop(guard);
    sim.machine.no_entropy.store(true, Relaxed);
    sim.fails(Leaf::MngCreate, &[page, 33], Status::RND_NO_ENTROPY);
    sim.machine.no_entropy.store(false, Relaxed);
    assert_eq!(
        sim.ok(Leaf::PhymemPageRdmd, &[page]).rcx,
        PageType::Nda.raw()
    );

    sim.ok(Leaf::MngCreate, &[page, 33]);
    assert_eq!(
        sim.ok(Leaf::PhymemPageRdmd, &[page]).rcx,
        PageType::Tdr.raw()
    );
    let taken = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(Leaf::MngCreate, &[page, 34], taken);
    sim.fails(Leaf::MngCreate, &[Sim::page(2), 33], Status::HKID_NOT_FREE);
}

#[test]
fn mng_key_config() {
    let sim = Sim::new(Profile::Current);
    let tdr = Sim::page(1);
    let wrong = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(Leaf::MngKeyConfig, &[tdr], wrong);
    sim.ok(Leaf::MngCreate, &[tdr, 33]);
    sim.machine.pconfig.store(5, Relaxed);
    sim.fails(
        Leaf::MngKeyConfig,
        &[tdr],
        Status::OPERAND_BUSY.with(Operand::KET),
    );
    sim.machine.pconfig.store(2, Relaxed);
    sim.fails(Leaf::MngKeyConfig, &[tdr], Status::KEY_GENERATION_FAILED);
    sim.machine.pconfig.store(0, Relaxed);
    sim.ok(Leaf::MngKeyConfig, &[tdr]);
    sim.fails(
        Leaf::MngKeyConfig,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
}

#[test]
fn mng_addcx_takes_nine_pages() {
    let sim = Sim::new(Profile::Current);
    let tdr = Sim::page(1);
    sim.ok(Leaf::MngCreate, &[tdr, 33]);
    sim.fails(
        Leaf::MngAddcx,
        &[Sim::page(2), tdr],
        Status::TD_KEYS_NOT_CONFIGURED,
    );
    sim.ok(Leaf::MngKeyConfig, &[tdr]);
    let wrong = Status::PAGE_METADATA_INCORRECT.with(Operand::RCX);
    sim.fails(
        Leaf::MngAddcx,
        &[tdr, tdr],
        Status::OPERAND_BUSY.with(Operand::RCX),
    );
    sim.ok(Leaf::MngAddcx, &[Sim::page(2), tdr]);
    sim.fails(Leaf::MngAddcx, &[Sim::page(2), tdr], wrong);
    for n in 3..=10 {
        sim.ok(Leaf::MngAddcx, &[Sim::page(n), tdr]);
    }
    sim.fails(
        Leaf::MngAddcx,
        &[Sim::page(11), tdr],
        Status::TDCX_NUM_INCORRECT,
    );
    // MSR bitmaps exit always; the root of the S-EPT is FREE.
    assert_eq!(sim.peek(Sim::page(4)), u64::MAX);
    assert_eq!(sim.peek(Sim::page(5) + 4088), 0x80E0_0000_0000_0000);
}

#[test]
fn mng_addcx_after_init_is_too_late() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    sim.fails(
        Leaf::MngAddcx,
        &[Sim::page(20), tdr],
        Status::OP_STATE_INCORRECT,
    );
    sim.fails(Leaf::MngInit, &[tdr, TD_PARAMS], Status::OP_STATE_INCORRECT);
}

#[test]
fn mng_init_checks_td_params_in_order() {
    // Word of TD_PARAMS, its value and the operand at fault. Each is put on top of those after it.
    let cases = [
        (0, 1 << 29, Operand::ATTRIBUTES),
        (1, 1, Operand::XFAM),
        (2, 0, Operand::MAX_VCPUS),
        (2, (1 << 16) | 2, Operand::NUM_L2_VMS),
        (2, (1 << 32) | 2, Operand::RDX),
        (4, 8, Operand::EXEC_CONTROLS),
        (3, 0x18, Operand::EPTP_CONTROLS),
        (5, 3, Operand::TSC_FREQUENCY),
        (5, (1 << 16) | 40, Operand::RDX),
        (9, 1, Operand::RDX),
        (2, (2 << 24) | 2, Operand::RDX),
        (31, 1, Operand::RDX),
        (32, 1 << 31, Operand::CPUID_CONFIG),
        (32 + 12 * 2, 1, Operand::RDX),
        (127, 1, Operand::RDX),
        (28, 1 << 4, Operand::IA32_ARCH_CAPABILITIES_CONFIG),
    ];
    let sim = Sim::new(Profile::Current);
    let tdr = sim.create(1, 33);
    let params = [tdr, TD_PARAMS];
    for i in 1..=tdcs::BASE_PAGES {
        sim.fails(Leaf::MngInit, &params, Status::TDCS_NOT_ALLOCATED);
        sim.ok(Leaf::MngAddcx, &[Sim::page(1 + i), tdr]);
    }
    sim.fails(
        Leaf::MngInit,
        &[tdr, TD_PARAMS + 512],
        invalid(Operand::RDX),
    );
    for (word, value, operand) in cases {
        let pa = TD_PARAMS + word * 8;
        let sound = sim.peek(pa);
        sim.poke(pa, value);
        let out = sim.fails(Leaf::MngInit, &params, invalid(operand));
        let cpuid = operand == Operand::CPUID_CONFIG;
        assert_eq!(out.rcx, if cpuid { 0xFFFF_FFFF_0000_0001 } else { 0 });
        sim.poke(pa, sound);
    }
    sim.ok(Leaf::MngInit, &params);
}

#[test]
fn mng_init_sets_up_time_and_epoch() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    assert_eq!(sim.read_td(tdr, metadata::td::TD_EPOCH), 1);
    assert_eq!(sim.read_td(tdr, metadata::td::OP_STATE), 1);
    assert_eq!(sim.read_td(tdr, metadata::td::HKID), 33);
    assert_eq!(sim.read_td(tdr, metadata::td::CHLDCNT), 6);
    // 1 GHz for the guest, 2 GHz native.
    let multiplier = FieldId::from_raw(0x1100_0000_0000_000B);
    assert_eq!(sim.read_td(tdr, multiplier), 1 << 47);
}

#[test]
fn mng_wr_obeys_masks_and_limits() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let timeout = 0x9110_0003_0000_0011;
    let all = u64::MAX;
    let write =
        |id, value, mask, status| sim.fails(Leaf::MngWr, &[tdr, id, value, mask], status).r8;
    assert_eq!(write(timeout, 20_000, all, Status::SUCCESS), 1_000_000);
    assert_eq!(
        write(timeout, 9_999, all, Status::METADATA_FIELD_VALUE_NOT_VALID),
        0
    );
    assert_eq!(
        write(timeout, 20_000, 0xFFFF, Status::METADATA_WR_MASK_NOT_VALID),
        0
    );
    write(timeout, 20_000, 0, Status::METADATA_FIELD_NOT_WRITABLE);
    let vm_ctls = 0x9110_0003_0000_0012;
    write(vm_ctls, 2, all, Status::METADATA_FIELD_VALUE_NOT_VALID);
    write(vm_ctls, 1, 1, Status::SUCCESS);
    write(
        metadata::td::HKID.into_raw(),
        1,
        all,
        Status::METADATA_FIELD_NOT_WRITABLE,
    );
    let cpu = sim.machine.cpu(0, 0);
    let tdcs = tdcs::Tdcs::new(&cpu, tdr);
    assert_eq!(tdcs.get(tdcs::fields::HP_LOCK_TIMEOUT), 20_000);
}

#[test]
fn keyid_lives_through_assigned_flushed_and_free() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.create(1, 33);
    let lifecycle = || tdr::fields::LIFECYCLE_STATE.load(&sim.machine.cpu(0, 0), tdr);
    sim.fails(Leaf::PhymemCacheWb, &[0], Status::NO_HKID_READY_TO_WBCACHE);
    sim.fails(
        Leaf::MngKeyFreeid,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    sim.ok(Leaf::MngVpflushdone, &[tdr]);
    assert_eq!(lifecycle(), Lifecycle::Blocked.raw());
    sim.fails(
        Leaf::MngVpflushdone,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    sim.fails(Leaf::MngKeyFreeid, &[tdr], Status::WBCACHE_NOT_COMPLETE);
    sim.fails(Leaf::MngCreate, &[Sim::page(9), 33], Status::HKID_NOT_FREE);
    sim.fails(
        Leaf::PhymemPageReclaim,
        &[tdr],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    sim.ok(Leaf::PhymemCacheWb, &[0]);
    sim.ok(Leaf::MngKeyFreeid, &[tdr]);
    assert_eq!(sim.module.kot.state(33), Some(KeyIdState::Free));
    sim.create(9, 33);
}

#[test]
fn cache_wb_resumes_after_an_interrupt() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.create(1, 33);
    sim.fails(Leaf::PhymemCacheWb, &[2], invalid(Operand::RCX));
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::WBCACHE_RESUME_ERROR);
    sim.ok(Leaf::MngVpflushdone, &[tdr]);
    sim.machine.interrupt.store(true, Relaxed);
    sim.fails(Leaf::PhymemCacheWb, &[0], Status::INTERRUPTED_RESUMABLE);
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::INTERRUPTED_RESUMABLE);
    sim.fails(Leaf::MngKeyFreeid, &[tdr], Status::WBCACHE_NOT_COMPLETE);
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::INTERRUPTED_RESUMABLE);
    // The last block is not followed by a test for interrupts.
    sim.ok(Leaf::PhymemCacheWb, &[1]);
    sim.fails(Leaf::PhymemCacheWb, &[1], Status::WBCACHE_RESUME_ERROR);
    sim.ok(Leaf::MngKeyFreeid, &[tdr]);
}

#[test]
fn keys_and_caches_are_a_matter_of_each_package() {
    let mut sim = Sim::cold(Profile::Current);
    sim.machine.config.nr_packages = 2;
    let on = |lp, leaf, inputs: &[u64]| sim.call(lp, leaf, inputs).0;
    sim.ok(Leaf::SysInit, &[]);
    for lp in 0..2 {
        assert_eq!(on(lp, Leaf::SysLpInit, &[]), Status::SUCCESS);
    }
    sim.ok(Leaf::SysConfig, &[TDMR_ARRAY, 1, GLOBAL_KEYID]);
    sim.ok(Leaf::SysKeyConfig, &[]);
    sim.fails(Leaf::SysKeyConfig, &[], Status::KEY_CONFIGURED);
    assert_eq!(sim.module.state(), SysState::ConfigDone);
    assert_eq!(on(1, Leaf::SysKeyConfig, &[]), Status::SUCCESS);
    assert_eq!(sim.module.state(), SysState::Ready);
    while sim.ok(Leaf::SysTdmrInit, &[TDMR.base]).rdx < TDMR.end() {}

    let tdr = Sim::page(1);
    sim.ok(Leaf::MngCreate, &[tdr, 33]);
    sim.ok(Leaf::MngKeyConfig, &[tdr]);
    sim.fails(Leaf::MngKeyConfig, &[tdr], Status::KEY_CONFIGURED);
    let page = [Sim::page(2), tdr];
    sim.fails(Leaf::MngAddcx, &page, Status::TD_KEYS_NOT_CONFIGURED);
    assert_eq!(on(1, Leaf::MngKeyConfig, &[tdr]), Status::SUCCESS);
    sim.ok(Leaf::MngAddcx, &page);

    sim.ok(Leaf::MngVpflushdone, &[tdr]);
    sim.ok(Leaf::PhymemCacheWb, &[0]);
    sim.fails(Leaf::MngKeyFreeid, &[tdr], Status::WBCACHE_NOT_COMPLETE);
    assert_eq!(on(1, Leaf::PhymemCacheWb, &[0]), Status::SUCCESS);
    sim.ok(Leaf::MngKeyFreeid, &[tdr]);
}

#[test]
fn mng_rd_lists_the_fields_of_a_td() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let v1 = Rax::new(Leaf::MngRd, 1);
    let (status, first) = sim.call(0, v1, &[tdr, NULL_ID]);
    assert_eq!(status, Status::METADATA_FIRST_FIELD_ID_IN_CONTEXT);
    assert_eq!(first.rdx, 0x8010_0000_0000_0001);
    let next = |id| {
        let (status, out) = sim.call(0, v1, &[tdr, id]);
        (status, out.rdx)
    };
    assert_eq!(next(first.rdx), (Status::SUCCESS, 0x8010_0002_0000_0002));
    // SEAMDB_NONCE, which follows, cannot be read.
    assert_eq!(
        next(0x8210_0003_0000_0001),
        (Status::SUCCESS, 0x9010_0002_0000_0001)
    );
    let unknown = (Status::METADATA_FIELD_ID_INCORRECT, NULL_ID);
    assert_eq!(next(0x8210_0003_0000_0101), unknown);
    // Version 0 knows no first field.
    sim.fails(Leaf::MngRd, &[tdr, NULL_ID], unknown.0);
}

#[test]
fn guests_see_the_cpuid_that_the_host_chose() {
    let sim = Sim::new(Profile::Current);
    // Leaf 1: family, model and stepping in EAX, number of processors in EBX.
    sim.poke(TD_PARAMS + 256, 0x000A_06F1 | 0x0008_0000_0000_0000);
    let tdr = sim.init(1, 33);
    let cpuid = |leaf: u64, subleaf: u64, element: u64| {
        let code = ((leaf >> 31) << 16) | ((leaf & 0x7F) << 9) | (subleaf << 1) | element;
        sim.ok(Leaf::MngRd, &[tdr, 0x9410_0003_0000_0000 | code]).r8
    };
    const NONE: u64 = 0xFF;
    assert_eq!(cpuid(0, NONE, 0) & 0xFFFF_FFFF, 0x23);
    assert_eq!(cpuid(1, NONE, 0) & 0xFFFF_FFFF, 0xA_06F1);
    assert_eq!((cpuid(1, NONE, 0) >> 48) & 0xFF, 8);
    // A hypervisor and x2APIC, but no VMX.
    assert_eq!(
        cpuid(1, NONE, 1) & ((1 << 31) | (1 << 21) | (1 << 5)),
        (1 << 31) | (1 << 21)
    );
    assert_eq!(cpuid(0x8000_0000, NONE, 0) & 0xFFFF_FFFF, 0x8000_0008);
    let beyond = 0x9410_0003_0000_0000 | (4 << 9) | (9 << 1);
    sim.fails(
        Leaf::MngRd,
        &[tdr, beyond],
        Status::METADATA_FIELD_ID_INCORRECT,
    );
}

#[test]
fn pages_are_reclaimed_children_first() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let child = Sim::page(2);
    let out = sim.fails(
        Leaf::PhymemPageReclaim,
        &[child],
        Status::LIFECYCLE_STATE_INCORRECT,
    );
    assert_eq!((out.rcx, out.rdx, out.r8), (PageType::Tdcx.raw(), tdr, 0));
    sim.free_keyid(tdr);
    sim.fails(
        Leaf::PhymemPageReclaim,
        &[tdr],
        Status::TD_ASSOCIATED_PAGES_EXIST,
    );
    for i in 1..=tdcs::BASE_PAGES {
        let out = sim.ok(Leaf::PhymemPageReclaim, &[Sim::page(1 + i)]);
        assert_eq!((out.rcx, out.rdx), (PageType::Tdcx.raw(), tdr));
    }
    sim.ok(Leaf::PhymemPageReclaim, &[tdr]);
    for n in 1..=7 {
        assert_eq!(
            sim.ok(Leaf::PhymemPageRdmd, &[Sim::page(n)]).rcx,
            PageType::Nda.raw()
        );
        sim.ok(Leaf::PhymemPageWbinvd, &[Sim::page(n) | (33 << 46)]);
    }
}

#[test]
fn damage_to_donated_pages_is_answered_not_followed() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let outside = sim.machine.ram.outside();
    let read = [tdr, metadata::td::OP_STATE.into_raw()];
    for (offset, value, status) in [
        (0x0, (6 << 32) | 1, Status::TD_FATAL),
        (0x10, 0x77, Status::TD_KEYS_NOT_CONFIGURED),
        (0x18, 0x1234_5678_9ABC_D000, Status::TD_FATAL),
        (0x18, Sim::page(50), Status::TD_FATAL),
    ] {
        let sound = sim.peek(tdr + offset);
        sim.poke(tdr + offset, value);
        sim.fails(Leaf::MngRd, &read, status);
        sim.poke(tdr + offset, sound);
    }
    // The sixth TDCX page is looked at only for fields that are in it.
    let links = [tdr, 0x9A10_0003_0000_0000];
    sim.ok(Leaf::MngRd, &links);
    sim.poke(tdr + 0x18 + 5 * 8, 0x1234_5678_9ABC_D000);
    sim.fails(Leaf::MngRd, &links, Status::TD_FATAL);
    assert_eq!(sim.machine.ram.outside(), outside);
    sim.ok(Leaf::MngRd, &read);
}

#[test]
fn busy_pages_name_the_operand() {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    let cpu = sim.machine.cpu(0, 0);
    let tdmr = sim.module.tdmrs.covering(tdr).unwrap();
    let busy = Status::OPERAND_BUSY.with(Operand::RCX);
    for (level, mode, status) in [
        (0, Mode::Exclusive, busy),
        (0, Mode::Shared, Status::SUCCESS),
        (1, Mode::Exclusive, busy),
        (2, Mode::Exclusive, busy),
    ] {
        let level = crate::abi::Level::from_raw(level).unwrap();
        let entry = super::pamt::Entry::new(&cpu, tdmr.pamt_entry(level, tdr));
        let guard = entry.lock().acquire(mode);
        assert!(guard.is_some());
        sim.fails(Leaf::MngRd, &[tdr, metadata::td::HKID.into_raw()], status);
        drop(guard);
    }
    let tdcs = tdcs::Tdcs::new(&cpu, tdr);
    let guard = tdcs.op_state_lock().acquire(Mode::Exclusive);
    let read = [tdr, metadata::td::HKID.into_raw()];
    sim.fails(
        Leaf::MngRd,
        &read,
        Status::OPERAND_BUSY.with(Operand::OP_STATE),
    );
    drop(guard);
    // What remains of the failure is the host's priority, until the next success.
    assert_eq!(tdcs.word(tdcs::fields::OP_STATE_LOCK).load() >> 32, 2);
    sim.ok(Leaf::MngRd, &read);
    assert_eq!(tdcs.word(tdcs::fields::OP_STATE_LOCK).load() >> 32, 0);
}
