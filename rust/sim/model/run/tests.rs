// SPDX-License-Identifier: GPL-2.0

//! Runs of a guest that is played: each VM entry does the next step of a script, which changes the
//! vCPU's state and leaves a VM exit in it.

mod event;
mod exits;
mod instructions;
mod root;
mod sept;
mod tdcall;

use super::{
    super::{
        field::Field,
        lock::Mode,
        metadata::vmcs::fields as vmcs,
        platform::Profile,
        tdcs::fields as tdcs_fields,
        tdr,
        tdvps::{
            fields,
            Tdvps,
            X2APIC_ID, //
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
    registers,
    LastExit, //
};
use crate::{
    abi::{
        Args,
        Leaf,
        Level,
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

    fn get(&self, field: Field) -> u64 {
        self.td.tdvps(|tdvps| tdvps.get(field))
    }

    fn set(&self, field: Field, value: u64) {
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
