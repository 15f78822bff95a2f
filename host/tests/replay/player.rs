// SPDX-License-Identifier: GPL-2.0

//! Plays the events of a trace on a machine with a module.

use crate::{
    deliberate,
    trace::{
        Hardware,
        Hex,
        Lock,
        Record, //
    },
};
use std::{
    collections::{
        BTreeMap,
        HashMap, //
    },
    sync::atomic::Ordering::Relaxed, //
};
use tdx::{
    abi::{
        Args,
        Level,
        Rax,
        Status, //
    },
    conformance,
    platform::Cpu,
    sim::{
        model::{
            lock::Mode,
            pamt,
            sept::Slot,
            tdcs::{
                fields,
                Tdcs, //
            },
            Ctx,
            Exit,
            Regs, //
        },
        trace::REGISTERS,
    },
    world::World,
};

/// Logical processors that make calls, by their packages, and one more.
pub fn cpus<'w>(world: &'w World, packages: &[u32]) -> Vec<Cpu<'w>> {
    (0..)
        .zip(packages.iter().chain([&0]))
        .map(|(index, package)| world.machine.cpu(index, *package))
        .collect()
}

/// A lock that another logical processor holds; it is released when this is dropped.
trait Held {}

impl<T> Held for T {}

/// Plays the events of a sequence.
pub struct Player<'w> {
    world: &'w World,
    /// Those that make calls.
    cpus: &'w [Cpu<'w>],
    /// Another one.
    other: &'w Cpu<'w>,
    held: HashMap<(String, u64, u8), Vec<Box<dyn Held + 'w>>>,
    /// Why the next call is not made.
    pass: Option<&'static str>,
}

impl<'w> Player<'w> {
    /// Begins with the state that `world` is in.
    ///
    /// # Panics
    ///
    /// If there are no processors, see [`cpus`].
    pub fn new(world: &'w World, cpus: &'w [Cpu<'w>]) -> Self {
        let (other, cpus) = cpus.split_last().expect("there is one more");
        Self {
            world,
            cpus,
            other,
            held: HashMap::new(),
            pass: None,
        }
    }

    /// Plays one event; what was not compared is counted by the reason for it.
    pub fn play(
        &mut self,
        record: &Record,
        skipped: &mut BTreeMap<&'static str, u64>,
    ) -> Result<(), String> {
        if record.leaf.is_some() {
            if let Some(reason) = self.pass.take() {
                *skipped.entry(reason).or_default() += 1;
                return Ok(());
            }
            return self.call(record, skipped);
        }
        if let Some(note) = &record.note {
            self.pass = deliberate::call_not_made(note);
        }
        if let Some(memory) = &record.poke {
            self.world.machine.write(memory.pa.0, &memory.content());
        } else if let Some(memory) = &record.peek {
            let mut found = vec![0; memory.len];
            self.world.machine.read(memory.pa.0, &mut found);
            let wanted = memory.content();
            let skip = deliberate::memory_not_compared(memory.len);
            let compared = |at: usize| !skip.iter().any(|range| range.contains(&at));
            let differs = |at: usize| compared(at) && found.get(at) != wanted.get(at);
            if let Some(at) = (0..memory.len).find(|at| differs(*at)) {
                let (found, wanted) = (found[at], wanted[at]);
                return Err(format!("byte {at} is {found:#x}, not {wanted:#x}"));
            }
        } else if let Some(lock) = &record.lock {
            return self.lock(lock);
        } else if let Some(event) = &record.hw {
            self.hardware(event);
        }
        Ok(())
    }

    fn call(
        &mut self,
        record: &Record,
        skipped: &mut BTreeMap<&'static str, u64>,
    ) -> Result<(), String> {
        let mut regs = Regs {
            rax: record.rax_in.ok_or("no rax_in")?.0,
            args: Args::default(),
            ..Regs::default()
        };
        for (name, value) in &record.input {
            *register(&mut regs.args, name).ok_or(format!("register {name}"))? = value.0;
        }
        let (before_rax, before) = (regs.rax, regs.args);
        let cpu = self
            .cpus
            .get(record.lp as usize)
            .ok_or("no such logical processor")?;
        if let Some(reason) = deliberate::refused_by_cpu(record) {
            *skipped.entry(reason).or_default() += 1;
            let exit = cpu.seamcall(&self.world.module, &mut regs);
            return if exit == Exit::VmFailInvalid && regs.args == before {
                Ok(())
            } else {
                Err(format!("{exit:?}, rax {:#x}", regs.rax))
            };
        }
        let exit = cpu.seamcall(&self.world.module, &mut regs);
        if exit != Exit::Completed {
            return Err(format!("{exit:?}"));
        }
        let mut differences = Vec::new();
        if let Some(names) = wrong_outputs(record) {
            differences.push(format!("its outputs are {names:?}"));
        }
        let wanted = record.rax.ok_or("no rax")?.0;
        let status = Status::from_raw(wanted);
        let leaf = Rax::from_raw(before_rax).known_leaf();
        if !conformance::knows(leaf, status) {
            differences.push(format!("{status} is not in the table of the leaf's checks"));
        }
        if regs.rax != wanted {
            differences.push(format!("rax {:#x}, not {wanted:#x}", regs.rax));
        }
        let not_compared = deliberate::value_not_compared(record);
        for (name, wanted) in &record.out {
            let found = *register(&mut regs.args, name).ok_or(format!("register {name}"))?;
            if found == wanted.0 {
                continue;
            }
            match not_compared {
                Some(reason) if name == "r8" => *skipped.entry(reason).or_default() += 1,
                _ => differences.push(format!("{name} {found:#x}, not {:#x}", wanted.0)),
            }
        }
        for name in ["rbx", "rsi", "rdi", "r12", "r13", "r14", "r15"] {
            if register(&mut regs.args, name) != register(&mut before.clone(), name) {
                differences.push(format!("{name} has changed"));
            }
        }
        if differences.is_empty() {
            Ok(())
        } else {
            Err(differences.join("; "))
        }
    }

    fn lock(&mut self, event: &Lock) -> Result<(), String> {
        let key = (event.kind.clone(), event.a.0, event.b);
        if event.op == "release" {
            let held = self.held.get_mut(&key).and_then(Vec::pop);
            return held.map(drop).ok_or("the lock is not held".to_string());
        }
        let held = self.acquire(event)?;
        if held.is_some() != (event.result == "ok") {
            return Err(format!(
                "lock taken: {}, not {}",
                held.is_some(),
                event.result
            ));
        }
        self.held.entry(key).or_default().extend(held);
        Ok(())
    }

    /// Takes a lock as the module does on another logical processor.
    fn acquire(&self, event: &Lock) -> Result<Option<Box<dyn Held + 'w>>, String> {
        fn held<'w>(guard: Option<impl Held + 'w>) -> Option<Box<dyn Held + 'w>> {
            guard.map(|guard| Box::new(guard) as Box<dyn Held + 'w>)
        }
        let (cpu, module) = (self.other, &*self.world.module);
        let mode = if event.mode == "sh" {
            Mode::Shared
        } else {
            Mode::Exclusive
        };
        let tdcs = Tdcs::new(cpu, event.a.0);
        Ok(match event.kind.as_str() {
            "GLOBAL" => held(module.global_lock().acquire(mode)),
            "KOT" => held(module.kot.lock().acquire(mode)),
            "WBT" => held(module.wbt[0].lock().acquire(mode)),
            "TDMR" => held(
                module
                    .tdmrs
                    .iter()
                    .next()
                    .ok_or("no TDMR")?
                    .lock()
                    .acquire(mode),
            ),
            "PAMT" => {
                let cx = Ctx {
                    module,
                    p: cpu,
                    version: 0,
                };
                let level = Level::from_raw(event.b.into()).ok_or("level")?;
                held(
                    pamt::entry(&cx, event.a.0, level)
                        .ok_or("no PAMT")?
                        .lock()
                        .acquire(mode),
                )
            }
            "OP_STATE" => held(tdcs.op_state_lock().acquire(mode)),
            "SEPT_TREE" => held(tdcs.sept_tree_lock().acquire(mode)),
            "EPOCH" => held(tdcs.epoch_lock().acquire(mode)),
            "RTMR" => held(tdcs.rtmr_lock().acquire(mode)),
            "SEPT_ENTRY" => {
                let (table, index) = (event.a.0 & !0xFFF, (event.a.0 & 0xFFF) / 8);
                let level = Level::from_raw(event.b.into()).ok_or("level")?;
                held(Slot::nth(cpu, table, index, level).lock())
            }
            kind => return Err(format!("unknown lock {kind}")),
        })
    }

    fn hardware(&self, event: &Hardware) {
        let machine = &self.world.machine;
        let value = event.value.unwrap_or(0);
        match event.event.as_str() {
            "epoch_refcount" => {
                let tdcs = Tdcs::new(self.other, event.tdr.map_or(0, |Hex(pa)| pa));
                for (index, count) in event.refcount.iter().flatten().enumerate() {
                    tdcs.set(fields::REFCOUNT.element(index as u32), u64::from(*count));
                }
            }
            "pending_nmi" => machine.interrupt.store(value != 0, Relaxed),
            "pconfig_result" => machine.pconfig.store(value, Relaxed),
            "rdrand_rdseed_fail" => machine.no_entropy.store(value != 0, Relaxed),
            event => panic!("unknown hardware event {event}"),
        }
    }
}

/// The registers that the leaf has as outputs, if the record has others.
fn wrong_outputs(record: &Record) -> Option<Vec<&'static str>> {
    let rax = Rax::from_raw(record.rax_in?.0);
    let outputs = rax
        .known_leaf()
        .map_or(0, |leaf| leaf.outputs(rax.version().get() as u8));
    let names: Vec<_> = (0..)
        .zip(REGISTERS)
        .filter(|(bit, _)| outputs & (1 << bit) != 0)
        .map(|(_, name)| name)
        .collect();
    let same =
        names.len() == record.out.len() && names.iter().all(|name| record.out.contains_key(*name));
    (!same).then_some(names)
}

fn register<'a>(args: &'a mut Args, name: &str) -> Option<&'a mut u64> {
    Some(match name {
        "rcx" => &mut args.rcx,
        "rdx" => &mut args.rdx,
        "r8" => &mut args.r8,
        "r9" => &mut args.r9,
        "r10" => &mut args.r10,
        "r11" => &mut args.r11,
        "r12" => &mut args.r12,
        "r13" => &mut args.r13,
        "r14" => &mut args.r14,
        "r15" => &mut args.r15,
        "rbx" => &mut args.rbx,
        "rdi" => &mut args.rdi,
        "rsi" => &mut args.rsi,
        _ => return None,
    })
}
