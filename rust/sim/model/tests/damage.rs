// SPDX-License-Identifier: GPL-2.0

//! Pages that are damaged or busy.

use super::*;
use crate::abi::{
    metadata,
    Level, //
};
use crate::sim::model::{
    lock::{
        Mode,
        Word, //
    },
    pamt::Entry, //
};

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
        let level = Level::from_raw(level).unwrap();
        let entry = Entry::new(&cpu, tdmr.pamt_entry(level, tdr));
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
