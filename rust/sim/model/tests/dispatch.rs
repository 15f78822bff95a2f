// SPDX-License-Identifier: GPL-2.0

//! RAX, versions and states that the dispatcher checks.

use super::*;
use crate::abi::metadata::global::MAX_VCPUS_PER_TD;

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
    let max_vcpus = MAX_VCPUS_PER_TD.into_raw();
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
