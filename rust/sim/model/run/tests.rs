// SPDX-License-Identifier: GPL-2.0

//! Runs of a guest that is played: each VM entry does the next step of a script, which changes the
//! vCPU's state and leaves a VM exit in it.

use super::{
    super::{
        lock::Mode,
        metadata::vmcs::fields as vmcs,
        platform::Profile,
        tdcs::fields as tdcs_fields,
        tdr,
        tdvps::{
            fields,
            Tdvps, //
        },
        tests::guest::{
            self,
            Td,
            FREE,
            MAPPED,
            MAPPED_PA,
            PENDING,
            PENDING_PA,
            SHARED, //
        },
        vmx::{
            reason,
            BLOCKING_BY_INSTRUCTION,
            LONG_CODE, //
        },
        Regs, //
    },
    LastExit, //
};
use crate::{
    abi::{
        Args,
        Leaf,
        Operand,
        Status, //
    },
    platform::Cpu, //
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        Mutex, //
    }, //
};

type State<'a, 'm> = Tdvps<'a, Cpu<'m>>;
type Step = Box<dyn for<'a, 'm> Fn(&State<'a, 'm>) + Send + Sync>;

/// A TD and what its guest will do.
struct Played {
    td: Td,
    script: Arc<Mutex<VecDeque<Step>>>,
    /// Entries so far, and whether translations were forgotten at each.
    entries: Arc<Mutex<Vec<bool>>>,
}

/// A VM exit with nothing but its reason.
fn exit(tdvps: &State<'_, '_>, reason: u16) {
    for field in [
        vmcs::EXIT_QUALIFICATION,
        vmcs::GUEST_LINEAR_ADDRESS,
        vmcs::GUEST_PHYSICAL_ADDRESS,
        vmcs::VM_EXIT_INTERRUPTION_INFORMATION,
        vmcs::IDT_VECTORING_INFORMATION,
    ] {
        tdvps.set(field, 0);
    }
    tdvps.set(vmcs::EXIT_REASON, reason.into());
    tdvps.set(vmcs::VM_EXIT_INSTRUCTION_LENGTH, 2);
}

const INTERRUPT: u64 = 0x8000_00EC;

impl Played {
    fn new() -> Self {
        Self::with(Profile::Current, 0, 4)
    }

    /// With attributes and CONFIG_FLAGS.
    fn with(profile: Profile, attributes: u64, flags: u64) -> Self {
        let mut td = Td::with(profile, |poke| {
            poke(0, attributes);
            poke(32, flags);
        });
        let script = Arc::new(Mutex::new(VecDeque::<Step>::new()));
        let entries = Arc::new(Mutex::new(Vec::new()));
        let (steps, flushes) = (script.clone(), entries.clone());
        td.sim.machine.guest = Some(Box::new(move |_, tdvps, flush| {
            flushes.lock().unwrap().push(flush);
            let step = steps.lock().unwrap().pop_front();
            match step {
                Some(step) => step(tdvps),
                // There is always an interrupt in the end.
                None => {
                    exit(tdvps, reason::EXTERNAL_INTERRUPT);
                    tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, INTERRUPT);
                }
            }
        }));
        let played = Self {
            td,
            script,
            entries,
        };
        // A guest that has got as far as 64-bit mode, without paging.
        played.td.tdvps(|tdvps| {
            tdvps.set(vmcs::GUEST_CS_ACCESS_RIGHTS, LONG_CODE | 0x809B);
            tdvps.set(vmcs::GUEST_RIP, MAPPED);
        });
        played
    }

    fn then(&self, step: impl for<'a, 'm> Fn(&State<'a, 'm>) + Send + Sync + 'static) -> &Self {
        self.script.lock().unwrap().push_back(Box::new(step));
        self
    }

    /// The guest exits with a reason.
    fn exits(&self, reason: u16) -> &Self {
        self.then(move |tdvps| exit(tdvps, reason))
    }

    fn enter_with(&self, mut regs: Regs) -> Regs {
        let sim = &self.td.sim;
        regs.rax = Leaf::VpEnter as u64;
        regs.args.rcx |= self.td.vcpu;
        let _ = sim.machine.cpu(0, 0).seamcall(&sim.module, &mut regs);
        regs
    }

    /// Enters with something of the host's in all registers.
    fn enter(&self) -> Regs {
        self.enter_with(hosts())
    }

    /// Enters, and comes back because of the interrupt: the exits before were nothing to the host.
    #[track_caller]
    fn enter_in_vain(&self) {
        let regs = self.enter();
        assert_eq!((regs.rax, regs.args.r9), (1, INTERRUPT));
    }

    fn get(&self, field: super::super::field::Field) -> u64 {
        self.td.tdvps(|tdvps| tdvps.get(field))
    }

    fn set(&self, field: super::super::field::Field, value: u64) {
        self.td.tdvps(|tdvps| tdvps.set(field, value));
    }

    /// The event that the next entry delivers.
    fn pending(&self) -> u64 {
        self.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION)
    }

    fn entries(&self) -> usize {
        self.entries.lock().unwrap().len()
    }
}

/// Registers of a host, each with a number of its own.
fn hosts() -> Regs {
    Regs {
        args: Args {
            rcx: 0,
            rdx: 2,
            rbx: 3,
            rsi: 6,
            rdi: 7,
            r8: 8,
            r9: 9,
            r10: 10,
            r11: 11,
            r12: 12,
            r13: 13,
            r14: 14,
            r15: 15,
        },
        rbp: 5,
        ..Regs::default()
    }
}

/// Registers after an exit other than TDG.VP.VMCALL.
fn exited(rax: u64, rcx: u64, rdx: u64, r8: u64, r9: u64) -> Regs {
    Regs {
        rax,
        args: Args {
            rcx,
            rdx,
            r8,
            r9,
            ..Args::default()
        },
        rbp: 5,
    }
}

const VE: u64 = 0x8000_0314;
const UD: u64 = 0x8000_0306;
const GP: u64 = 0x8000_0B0D;
const DF: u64 = 0x8000_0B08;
const PF: u64 = 0x8000_0B0E;

#[test]
fn interrupts_of_the_host_exit() {
    let played = Played::new();
    assert_eq!(played.enter(), exited(1, 0, 0, 0, INTERRUPT));
    assert_eq!(
        played.get(fields::LAST_TD_EXIT),
        LastExit::AsyncFault as u64
    );
    assert_eq!(played.td.sim.machine.xmms.lock().unwrap()[3], [0; 2]);
    // An NMI.
    played.then(|tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, 0x8000_0202);
    });
    assert_eq!(played.enter(), exited(0, 0, 0, 0, 0x8000_0202));
}

#[test]
fn rbp_is_lost_where_the_td_may_have_it() {
    let played = Played::with(Profile::Current, 0, 0);
    assert_eq!(played.enter().rbp, 0);
    // Module 1.5.01 does not ask.
    let played = Played::with(Profile::V1_5_01, 0, 4);
    assert_eq!(played.enter().rbp, 0);
}

/// The guest executes TDCALL with these registers: RAX, RCX and the others by their number.
fn tdcall(played: &Played, rax: u64, rcx: u64) {
    played
        .td
        .sim
        .machine
        .write(MAPPED_PA, &[0x66, 0x0F, 0x01, 0xCC]);
    played.then(move |tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
        for number in 2..16 {
            tdvps.set(super::registers::guest(number), 0x100 + u64::from(number));
        }
        tdvps.set(fields::RAX, rax);
        tdvps.set(fields::RCX, rcx);
        tdvps.set(vmcs::GUEST_RIP, MAPPED);
    });
}

#[test]
fn vmcall_shares_what_the_guest_selects() {
    let played = Played::new();
    // RDX, R10 to R15, XMM1.
    let mask = 0xFC04 | 1 << 17;
    tdcall(&played, 0, mask);
    let regs = played.enter();
    let expected = Regs {
        rax: 77,
        args: Args {
            rcx: mask,
            rdx: 0x102,
            r10: 0x10A,
            r11: 0x10B,
            r12: 0x10C,
            r13: 0x10D,
            r14: 0x10E,
            r15: 0x10F,
            ..Args::default()
        },
        rbp: 5,
    };
    assert_eq!(regs, expected);
    assert_eq!(played.get(vmcs::GUEST_RIP), MAPPED + 4);

    // The answer.
    played.td.sim.machine.xmms.lock().unwrap()[1] = [0xAA, 0xBB];
    played.then(|tdvps| {
        let gpr = |number| tdvps.get(super::registers::guest(number));
        assert_eq!((gpr(0), gpr(1)), (0, 0xFC04 | 1 << 17));
        assert_eq!((gpr(2), gpr(10), gpr(15)), (2, 10, 15));
        // Not selected.
        assert_eq!((gpr(3), gpr(5), gpr(8)), (0x103, 0x105, 0x108));
        // SSE is there now, XMM1 at its place in the XSAVE area.
        assert_eq!(tdvps.get(fields::XBUFF.element(64)), 2);
        assert_eq!(tdvps.get(fields::XBUFF.element(22)), 0xAA);
        assert_eq!(tdvps.get(fields::XBUFF.element(23)), 0xBB);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();

    // It goes to the host in the same way.
    tdcall(&played, 0, mask);
    played.enter();
    let xmms = played.td.sim.machine.xmms.lock().unwrap();
    assert_eq!((xmms[1], xmms[2]), ([0xAA, 0xBB], [0; 2]));
}

#[test]
fn leaves_that_the_module_answers_come_back_to_the_guest() {
    let played = Played::new();
    tdcall(&played, 1, 0);
    played.then(|tdvps| {
        assert_eq!(tdvps.get(fields::RAX), 0);
        assert_eq!(tdvps.get(fields::RCX), 48);
        assert_eq!(tdvps.get(fields::RBX), 0x103);
        assert_eq!(tdvps.get(vmcs::GUEST_RIP), MAPPED + 4);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, INTERRUPT);
    });
    played.enter_in_vain();
    assert_eq!(played.entries(), 2);
}

#[test]
fn tdcall_across_pages() {
    let played = Played::new();
    let td = &played.td;
    // The next page, which is elsewhere in memory.
    td.ok(6, &[PENDING]);
    let machine = &td.sim.machine;
    machine.write(MAPPED_PA + 0xFFE, &[0x66, 0x0F]);
    machine.write(PENDING_PA, &[0x01, 0xCC]);
    tdcall(&played, 1, 0);
    played.then(|tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
        tdvps.set(fields::RAX, 1);
        tdvps.set(vmcs::GUEST_RIP, MAPPED + 0xFFE);
    });
    played.enter_in_vain();
    assert_eq!(played.get(vmcs::GUEST_RIP), PENDING + 2);
    // One byte is another.
    machine.write(PENDING_PA + 1, &[0xCD]);
    let undefined = |tdvps: &State<'_, '_>| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
        tdvps.set(vmcs::GUEST_RIP, MAPPED + 0xFFE);
    };
    delivers(&played, undefined, UD);
}

#[test]
fn tdcall_is_for_64_bit_supervisors() {
    for (cs, ss) in [(0x809B, 0x8093), (LONG_CODE | 0x80FB, 0x80F3)] {
        let played = Played::new();
        tdcall(&played, 1, 0);
        played.set(vmcs::GUEST_CS_ACCESS_RIGHTS, cs);
        played.set(vmcs::GUEST_SS_ACCESS_RIGHTS, ss);
        played.enter_in_vain();
        // Delivered by the entry that the interrupt ended.
        assert_eq!(played.pending(), 0);
        let played = Played::new();
        tdcall(&played, 1, 0);
        played.set(vmcs::GUEST_CS_ACCESS_RIGHTS, cs);
        played.set(vmcs::GUEST_SS_ACCESS_RIGHTS, ss);
        played.then(|tdvps| {
            assert_eq!(tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION), GP);
            assert_eq!(tdvps.get(vmcs::GUEST_RIP), MAPPED);
            exit(tdvps, reason::EXTERNAL_INTERRUPT);
        });
        played.enter();
    }
}

/// After an exit of the guest's, the next entry delivers this event.
#[track_caller]
fn delivers(played: &Played, step: impl Fn(&State<'_, '_>) + Send + Sync + 'static, event: u64) {
    played.then(step).then(move |tdvps| {
        assert_eq!(tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION), event);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, INTERRUPT);
    });
    played.enter_in_vain();
}

#[test]
fn other_undefined_instructions_stay_undefined() {
    let played = Played::new();
    let undefined = |tdvps: &State<'_, '_>| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, UD);
    };
    delivers(&played, undefined, UD);
    // VMX instructions, and those of SEAM.
    for reason in [19, 27, 11, 50, 53, 59, 60, 76] {
        delivers(&played, move |tdvps| exit(tdvps, reason), UD);
    }
}

#[test]
fn the_guest_asks_its_host_by_way_of_ve() {
    for reason in [12, 13, 15, 18, 30, 36, 39, 54, 56, 65] {
        let played = Played::new();
        delivers(
            &played,
            move |tdvps| {
                exit(tdvps, reason);
                tdvps.set(vmcs::EXIT_QUALIFICATION, 0x77);
                tdvps.set(vmcs::VM_EXIT_INSTRUCTION_INFORMATION, 0x55);
            },
            VE,
        );
        assert_eq!(played.get(fields::EXIT_REASON), reason.into());
        assert_eq!(played.get(fields::EXIT_QUALIFICATION), 0x77);
        assert_eq!(played.get(fields::INSTRUCTION_LENGTH), 2);
        assert_eq!(played.get(fields::INSTRUCTION_INFORMATION), 0x55);
        assert_eq!(played.get(fields::VALID), 0xFFFF_FFFF);
        // It has not read of that one yet.
        delivers(&played, move |tdvps| exit(tdvps, reason), DF);
    }
}

#[test]
fn faults_while_faults_are_delivered() {
    let played = Played::new();
    let during = |event: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, 12);
            tdvps.set(vmcs::IDT_VECTORING_INFORMATION, event);
        }
    };
    // A page fault and #VE make a double fault, an interrupt and #VE do not.
    delivers(&played, during(PF), DF);
    let played = Played::new();
    delivers(&played, during(0x8000_0030), VE);
    // Three are too many.
    let played = Played::new();
    played.then(during(DF));
    let regs = played.enter();
    assert_eq!(regs.rax, Status::NON_RECOVERABLE_VCPU.with_detail(2).raw());
}

#[test]
fn events_that_an_exit_interrupts_are_delivered_again() {
    let played = Played::new();
    played.then(|tdvps| {
        exit(tdvps, reason::EPT_VIOLATION);
        tdvps.set(vmcs::GUEST_PHYSICAL_ADDRESS, SHARED);
        // An NMI, whose delivery has begun to block others; bit 12 is undefined.
        tdvps.set(vmcs::IDT_VECTORING_INFORMATION, 0x8000_1202);
        tdvps.set(vmcs::INTERRUPTIBILITY_STATE, 8);
    });
    assert_eq!(played.enter().rax, 48);
    assert_eq!(played.pending(), 0x8000_0202);
    assert_eq!(played.get(vmcs::INTERRUPTIBILITY_STATE), 0);
}

#[test]
fn ends_of_a_vcpu_and_of_a_td() {
    let played = Played::new();
    played.exits(reason::TRIPLE_FAULT);
    let status = Status::NON_RECOVERABLE_VCPU.with_detail(2).raw();
    assert_eq!(played.enter(), exited(status, 0, 0, 0, 0));
    let again = Status::from_raw(played.enter().rax);
    assert_eq!(again, Status::VCPU_STATE_INCORRECT);

    // An exit that must not be.
    let played = Played::new();
    played.exits(reason::INVALID_GUEST_STATE);
    let status = Status::NON_RECOVERABLE_TD.with_detail(33).raw();
    assert_eq!(played.enter().rax, status);
    let fatal = tdr::fields::FATAL.load(&played.td.sim.machine.cpu(0, 0), played.td.tdr);
    assert_eq!(fatal, 1);
    assert_eq!(Status::from_raw(played.enter().rax), Status::TD_FATAL);

    // The host's debugger gets to see it.
    let played = Played::with(Profile::Current, 1, 4);
    played.exits(reason::INVALID_GUEST_STATE);
    assert_eq!(played.enter().rax, 33);

    let played = Played::new();
    played.then(|tdvps| {
        exit(tdvps, reason::EXCEPTION_NMI);
        tdvps.set(vmcs::VM_EXIT_INTERRUPTION_INFORMATION, 0x8000_0312);
    });
    let status = Status::NON_RECOVERABLE_TD_NON_ACCESSIBLE.raw();
    assert_eq!(played.enter().rax, status);
}

/// The guest touches `gpa`.
fn touches(gpa: u64, qualification: u64) -> impl Fn(&State<'_, '_>) + Send + Sync {
    move |tdvps| {
        exit(tdvps, reason::EPT_VIOLATION);
        tdvps.set(vmcs::EXIT_QUALIFICATION, qualification);
        tdvps.set(vmcs::GUEST_PHYSICAL_ADDRESS, gpa);
        tdvps.set(vmcs::GUEST_LINEAR_ADDRESS, gpa + 1);
    }
}

#[test]
fn pages_that_are_not_there_are_the_hosts() {
    let played = Played::new();
    played.then(touches(FREE | 0x123, 0x1F82));
    assert_eq!(played.enter(), exited(48, 2, 0, FREE, 0));
    played.then(touches(SHARED | 0x1234, 0x182));
    assert_eq!(played.enter(), exited(48, 2, 0, SHARED | 0x1000, 0));
    // One that has been mapped since the CPU looked is none of them.
    played.then(touches(MAPPED, 0x182));
    played.enter_in_vain();
    // Bits above the SHARED bit are reserved.
    delivers(&played, touches(1 << 48, 0x182), PF);
    assert_eq!(played.get(fields::CR2), (1 << 48) + 1);
    assert_eq!(played.get(vmcs::VM_ENTRY_EXCEPTION_ERROR_CODE), 0);
}

#[test]
fn pages_that_were_not_accepted() {
    let played = Played::new();
    delivers(&played, touches(PENDING | 0x10, 0x182), VE);
    assert_eq!(played.get(fields::EXIT_REASON), 48);
    assert_eq!(played.get(fields::GPA), PENDING | 0x10);
    assert_eq!(played.get(fields::GLA), (PENDING | 0x10) + 1);
    // SEPT_VE_DISABLE.
    let played = Played::with(Profile::Current, 1 << 28, 4);
    played.then(touches(PENDING, 0x182));
    assert_eq!(played.enter(), exited(48, 2, 6, PENDING, 0));
}

#[test]
fn misconfigured_entries() {
    let misconfigured = |gpa: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::EPT_MISCONFIGURATION);
            tdvps.set(vmcs::GUEST_PHYSICAL_ADDRESS, gpa);
        }
    };
    let played = Played::new();
    played.then(misconfigured(SHARED));
    assert_eq!(played.enter(), exited(49, 0, 0, SHARED, 0));
    played.then(misconfigured(MAPPED));
    let status = Status::NON_RECOVERABLE_TD_CORRUPTED_MD.with_detail(49);
    assert_eq!(played.enter().rax, status.raw());
}

#[test]
fn a_host_that_steps_has_to_map() {
    let played = Played::new();
    for _ in 0..6 {
        played.then(touches(FREE, 0x182));
        assert_eq!(played.enter().rax, 48);
    }
    let busy = Status::OPERAND_BUSY.with(Operand::SEPT_TREE).raw();
    let with_tree_locked = || {
        played.td.tdcs(|tdcs| {
            let _lock = tdcs.sept_tree_lock().acquire(Mode::Shared);
            played.enter().rax
        })
    };
    // Not armed yet.
    assert_eq!(with_tree_locked(), 1);
    played.then(touches(FREE, 0x182));
    assert_eq!(played.enter().rax, 48);
    assert_eq!(with_tree_locked(), busy);
    let entries = played.entries();
    assert_eq!(played.enter(), exited(48, 2, 0, FREE, 0));
    assert_eq!(played.entries(), entries);
    // Pending is not mapped: the guest could not get on.
    let td = &played.td;
    let page = crate::layout::TDMR_BASE + 40 * 4096;
    td.sim.ok(Leaf::MemPageAug, &[FREE, td.tdr, page]);
    assert_eq!(played.enter().rax, 48);
    td.ok(6, &[FREE]);
    played.enter_in_vain();
    assert_eq!(with_tree_locked(), 1);
    assert_eq!(played.td.tdcs(|tdcs| tdcs.get(tdcs_fields::REFCOUNT)), 0);
}

#[test]
fn a_loop_is_no_stepping() {
    let played = Played::new();
    for page in 0..20 {
        // The guest has been elsewhere, and is back at the same instruction for another page.
        played
            .then(|tdvps| {
                exit(tdvps, reason::CPUID);
                tdvps.set(fields::RAX, 0);
                tdvps.set(vmcs::GUEST_RIP, 0x1234);
            })
            .then(move |tdvps| {
                touches(FREE + page * 4096, 0x182)(tdvps);
                tdvps.set(vmcs::GUEST_RIP, MAPPED);
            });
        assert_eq!(played.enter().args.r8, FREE + page * 4096);
    }
    assert_eq!(played.get(fields::LAST_EPF_GPA_LIST_IDX), 0);
}

#[test]
fn a_guest_may_be_told_of_stepping() {
    let played = Played::new();
    played.td.ok(8, &[0, 0x9110_0003_0000_0010, 1, 1]);
    for _ in 0..7 {
        played.then(touches(FREE, 0x182));
        played.enter();
    }
    let td = &played.td;
    let page = crate::layout::TDMR_BASE + 40 * 4096;
    td.sim.ok(Leaf::MemPageAug, &[FREE, td.tdr, page]);
    td.ok(6, &[FREE]);
    played.then(|tdvps| {
        assert_eq!(tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION), VE);
        assert_eq!(tdvps.get(fields::GPA), FREE);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();
    assert_eq!(played.get(fields::EXIT_REASON), 48);
}

#[test]
fn an_epoch_ends_when_its_vcpus_have_left() {
    let played = Played::new();
    let (td, tdr) = (&played.td, played.td.tdr);
    td.sim.ok(Leaf::MemTrack, &[tdr]);
    played.enter_in_vain();
    played.enter_in_vain();
    td.sim.ok(Leaf::MemTrack, &[tdr]);
    played.enter_in_vain();
    // Only the first entry in an epoch forgets what the vCPU has translated before.
    assert_eq!(*played.entries.lock().unwrap(), [true, false, true]);
    // One that is inside.
    td.tdcs(|tdcs| tdcs.set(tdcs_fields::REFCOUNT.element(1), 1));
    td.sim.ok(Leaf::MemTrack, &[tdr]);
    td.sim
        .fails(Leaf::MemTrack, &[tdr], Status::PREVIOUS_TLB_EPOCH_BUSY);
}

#[test]
fn nothing_of_the_td_is_free_while_it_runs() {
    let played = Played::new();
    let vcpu = played.td.vcpu;
    let tdr = played.td.tdr;
    // The played guest looks at the locks from inside.
    played.then(move |tdvps| {
        let p = tdvps.platform();
        // Where the PAMT entry of a page has its lock: see pamt.rs.
        for pa in [vcpu, tdr] {
            assert_eq!(guest::pamt_lock(p, pa), 4, "{pa:#x} is shared once");
        }
        assert_eq!(tdvps.get(fields::VCPU_STATE), 4);
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();
    assert_eq!(played.get(fields::VCPU_STATE), 2);
}

#[test]
fn cpuid_is_as_configured() {
    let played = Played::new();
    let cpuid = |leaf: u64, subleaf: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::CPUID);
            tdvps.set(fields::RAX, leaf);
            tdvps.set(fields::RCX, subleaf);
        }
    };
    let values = || [0, 3, 1, 2].map(|number| played.get(super::registers::guest(number)));
    played.then(cpuid(0, 9));
    played.set(vmcs::INTERRUPTIBILITY_STATE, BLOCKING_BY_INSTRUCTION | 8);
    played.enter_in_vain();
    assert_eq!(values()[0], 0x23);
    assert_eq!(played.get(vmcs::GUEST_RIP), MAPPED + 2);
    // STI blocks for one instruction.
    assert_eq!(played.get(vmcs::INTERRUPTIBILITY_STATE), 8);

    // What TDs know themselves by.
    played.then(cpuid(0x21, 0));
    played.enter_in_vain();
    let [_, ebx, ecx, edx] = values().map(|value| (value as u32).to_le_bytes());
    assert_eq!(&[ebx, edx, ecx].concat(), b"IntelTDX    ");

    // OSXSAVE and the APIC ID are those of the moment.
    played.set(super::super::tdvps::X2APIC_ID, 7);
    played.then(cpuid(1, 0));
    played.enter_in_vain();
    assert_eq!((values()[1] >> 24, values()[2] >> 27 & 1), (7, 0));
    played.set(vmcs::GUEST_CR4, 1 << 18);
    played.then(cpuid(1, 0));
    played.enter_in_vain();
    assert_eq!(values()[2] >> 27 & 1, 1);

    // A sub-leaf that there is not is empty; leaves of the hypervisor are its own.
    played.then(cpuid(4, 77));
    played.enter_in_vain();
    assert_eq!(values(), [0; 4]);
    delivers(&played, cpuid(0x4000_0000, 0), VE);
    assert_eq!(played.get(fields::EXIT_REASON), 10);
}

#[test]
fn cpuid_may_be_asked_for_as_ve() {
    let played = Played::new();
    // TDG.VP.CPUIDVE.SET, supervisor.
    played.td.ok(5, &[1]);
    delivers(
        &played,
        |tdvps| {
            exit(tdvps, reason::CPUID);
            tdvps.set(fields::RAX, 0);
        },
        VE,
    );
}

#[test]
fn msrs() {
    let access = |reason: u16, msr: u64, value: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason);
            tdvps.set(fields::RCX, msr);
            tdvps.set(fields::RAX, value & 0xFFFF_FFFF);
            tdvps.set(fields::RDX, value >> 32);
        }
    };
    let (read, write) = (reason::RDMSR, reason::WRMSR);
    // IA32_APIC_BASE is the host's.
    delivers(&Played::new(), access(read, 0x1B, 0), VE);
    delivers(&Played::new(), access(write, 0x830, 0), VE);
    // A TD has no VMX.
    let played = Played::new();
    delivers(&played, access(read, 0x480, 0), GP);
    delivers(&played, access(write, 0x48, 1 << 40), GP);
    // IA32_SPEC_CTRL.
    played.then(access(write, 0x48, 5));
    played.enter_in_vain();
    played.then(access(read, 0x48, 0));
    played.enter_in_vain();
    assert_eq!((played.get(fields::RAX), played.get(fields::RDX)), (5, 0));
    assert_eq!(played.get(vmcs::GUEST_RIP), MAPPED + 4);
    // IA32_XSS: XFAM has nothing for it.
    delivers(&played, access(write, 0xDA0, 1 << 8), GP);
    // IA32_PRED_CMD.
    played.then(access(write, 0x49, 1));
    played.enter_in_vain();
}

#[test]
fn features_that_the_guest_enables() {
    let played = Played::new();
    let xsetbv = |index: u64, value: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::XSETBV);
            tdvps.set(fields::RCX, index);
            tdvps.set(fields::RAX, value);
            tdvps.set(fields::RDX, 0);
        }
    };
    // The TD has x87 and SSE.
    for (index, value) in [(1, 1), (0, 0), (0, 2), (0, 7), (0, 0x203)] {
        delivers(&played, xsetbv(index, value), GP);
    }
    assert_eq!(played.get(fields::XCR0), 1);
    played.then(xsetbv(0, 3));
    played.enter_in_vain();
    assert_eq!(played.get(fields::XCR0), 3);
}

#[test]
fn control_registers() {
    let moves = |number: u64, value: u64| {
        move |tdvps: &State<'_, '_>| {
            exit(tdvps, reason::CR_ACCESS);
            // MOV from RDX.
            tdvps.set(vmcs::EXIT_QUALIFICATION, number | 2 << 8);
            tdvps.set(fields::RDX, value);
        }
    };
    // No caching, and no machine checks.
    delivers(&Played::new(), moves(0, 0x4000_0021), VE);
    delivers(&Played::new(), moves(4, 0x20), VE);
    // NE clear, VMX, SMX.
    delivers(&Played::new(), moves(0, 0x1), GP);
    delivers(&Played::new(), moves(4, 0x2040), GP);
    delivers(&Played::new(), moves(4, 0x4040), GP);
}

#[test]
fn an_nmi_of_the_host_waits_for_its_window() {
    let played = Played::new();
    let window =
        |tdvps: &State<'_, '_>| tdvps.get(vmcs::PRIMARY_PROCESSOR_BASED_CONTROLS) & (1 << 22) != 0;
    played.set(fields::PEND_NMI, 1);
    // Not while #VE information waits to be read.
    played.set(fields::VALID, 1);
    played.then(move |tdvps| {
        assert!(!window(tdvps));
        exit(tdvps, reason::EXTERNAL_INTERRUPT);
    });
    played.enter();
    played.set(fields::VALID, 0);
    played
        .then(move |tdvps| {
            assert!(window(tdvps));
            exit(tdvps, reason::NMI_WINDOW);
        })
        .then(move |tdvps| {
            assert!(!window(tdvps));
            let event = tdvps.get(vmcs::VM_ENTRY_INTERRUPTION_INFORMATION);
            assert_eq!(event, 0x8000_0202);
            exit(tdvps, reason::EXTERNAL_INTERRUPT);
        });
    played.enter();
    assert_eq!(played.get(fields::PEND_NMI), 0);
}

#[test]
fn the_host_may_have_something_to_say_to_a_trap() {
    let played = Played::new();
    played
        .td
        .tdcs(|tdcs| tdcs.set(tdcs_fields::HP_LOCK_TIMEOUT, 0));
    // The host wants the entry of the page that the guest accepts.
    let want = || {
        played.td.entry(PENDING, crate::abi::Level::K4, |slot| {
            let _guard = slot.lock().expect("free");
            assert!(slot.lock().is_none());
        });
    };
    want();
    tdcall(&played, 6, PENDING);
    played.enter_in_vain();
    tdcall(&played, 6, PENDING);
    let regs = played.enter();
    assert_eq!(regs.rax, Status::HOST_PRIORITY_BUSY_TIMEOUT.raw());
    assert_eq!(played.get(fields::LAST_TD_EXIT), LastExit::AsyncTrap as u64);
    let mut regs = hosts();
    regs.args.rcx = 1 << 52;
    played.enter_with(regs);
    let busy = Status::OPERAND_BUSY.with(Operand::RCX).raw();
    assert_eq!(played.get(fields::RAX), busy | 1 << 60);
    // The hint is for such exits alone.
    let mut regs = hosts();
    regs.args.rcx = 1 << 52;
    let refused = Status::from_raw(played.enter_with(regs).rax);
    assert_eq!(refused, Status::OPERAND_INVALID.with(Operand::RCX));
}
