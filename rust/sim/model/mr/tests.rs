// SPDX-License-Identifier: GPL-2.0

//! MRTD against a SHA-384 of its own, and the checks of the TDH.MR leaves.

use super::super::{
    platform::Profile,
    tests::Sim, //
};
use crate::abi::{
    metadata::td,
    sept::Info,
    Leaf,
    Level,
    Operand,
    Status, //
};
use sha2::{
    Digest,
    Sha384, //
};

const SOURCE: u64 = 0x0201_0000;

/// A TD with table pages for the GPAs from 0 to 2M, and a vCPU.
fn td() -> (Sim, u64) {
    let sim = Sim::new(Profile::Current);
    let tdr = sim.init(1, 33);
    for (level, page) in [(3, 8), (2, 9), (1, 10)] {
        sim.ok(Leaf::MemSeptAdd, &[level, tdr, Sim::page(page)]);
    }
    (sim, tdr)
}

fn add_vcpu(sim: &Sim, tdr: u64) {
    let vcpu = Sim::page(11);
    sim.ok(Leaf::VpCreate, &[vcpu, tdr]);
    for n in 12..17 {
        sim.ok(Leaf::VpAddcx, &[Sim::page(n), vcpu]);
    }
    sim.ok(Leaf::VpInit, &[vcpu]);
}

fn mrtd(sim: &Sim, tdr: u64) -> Vec<u8> {
    let word = |index| {
        sim.ok(Leaf::MngRd, &[tdr, td::MRTD.element(index).into_raw()])
            .r8
    };
    (0..6).flat_map(|index| word(index).to_le_bytes()).collect()
}

/// What the host measured, put together as the ABI describes it.
#[derive(Default)]
struct Expected(Vec<u8>);

impl Expected {
    fn block(&mut self, name: &str, gpa: u64) {
        let start = self.0.len();
        self.0.extend_from_slice(name.as_bytes());
        self.0.resize(start + 16, 0);
        self.0.extend_from_slice(&gpa.to_le_bytes());
        self.0.resize(start + 128, 0);
    }

    fn digest(&self) -> Vec<u8> {
        Sha384::digest(&self.0).to_vec()
    }
}

#[test]
fn mrtd_is_the_sha384_of_pages_and_content() {
    let (sim, tdr) = td();
    let mut expected = Expected::default();
    // Pages in no order; of each, some chunks in no order.
    for (page, (gpa, chunks)) in [(0x5000, &[0, 15, 3][..]), (0, &[]), (0x1F_F000, &[7])]
        .into_iter()
        .enumerate()
    {
        let content: Vec<u8> = (0..4096)
            .map(|i| (i * 7 + page * 13 + i / 256) as u8)
            .collect();
        sim.machine.write(SOURCE, &content);
        sim.ok(
            Leaf::MemPageAdd,
            &[gpa, tdr, Sim::page(20 + page as u64), SOURCE],
        );
        expected.block("MEM.PAGE.ADD", gpa);
        for chunk in chunks.iter().copied() {
            let offset = chunk * 256;
            sim.ok(Leaf::MrExtend, &[gpa + offset as u64, tdr]);
            expected.block("MR.EXTEND", gpa + offset as u64);
            expected.0.extend_from_slice(&content[offset..offset + 256]);
        }
    }
    add_vcpu(&sim, tdr);
    sim.ok(Leaf::MrFinalize, &[tdr]);
    assert_eq!(mrtd(&sim, tdr), expected.digest());
}

#[test]
fn mrtd_of_nothing_is_the_empty_digest() {
    let (sim, tdr) = td();
    add_vcpu(&sim, tdr);
    sim.ok(Leaf::MrFinalize, &[tdr]);
    assert_eq!(mrtd(&sim, tdr), Expected::default().digest());
}

#[test]
fn mr_extend_checks_its_address_then_the_entry() {
    let (sim, tdr) = td();
    let rcx = Operand::RCX;
    for gpa in [0x80, 1, 1 << 47, 1 << 51, 1 << 52] {
        sim.fails(
            Leaf::MrExtend,
            &[gpa, tdr],
            Status::OPERAND_INVALID.with(rcx),
        );
    }
    let absent = Status::EPT_ENTRY_NOT_PRESENT.with(rcx);
    let level = |gpa| {
        let args = sim.fails(Leaf::MrExtend, &[gpa, tdr], absent);
        Info::from_raw(args.rdx).level()
    };
    assert_eq!(level(0), Some(Level::K4));
    assert_eq!(level(1 << 30), Some(Level::G1));
    sim.ok(Leaf::MemPageAug, &[0, tdr, Sim::page(20)]);
    assert_eq!(level(0x100), Some(Level::K4));
}

#[test]
fn mr_finalize_needs_a_vcpu_and_ends_building() {
    let (sim, tdr) = td();
    sim.fails(Leaf::MrFinalize, &[tdr], Status::NO_VCPUS);
    add_vcpu(&sim, tdr);
    sim.ok(Leaf::MrFinalize, &[tdr]);
    for leaf in [Leaf::MrFinalize, Leaf::VpInit] {
        let operand = if leaf == Leaf::VpInit {
            Sim::page(11)
        } else {
            tdr
        };
        sim.fails(leaf, &[operand], Status::OP_STATE_INCORRECT);
    }
    sim.fails(Leaf::MrExtend, &[0, tdr], Status::OP_STATE_INCORRECT);
    sim.fails(
        Leaf::MemPageAdd,
        &[0, tdr, Sim::page(20), SOURCE],
        Status::OP_STATE_INCORRECT,
    );
    sim.fails(
        Leaf::VpCreate,
        &[Sim::page(20), tdr],
        Status::OP_STATE_INCORRECT,
    );
}
