// SPDX-License-Identifier: GPL-2.0

//! The typed life of a TD: steps that fail, and ends of all kinds.

use crate::{
    bench::ModelBench,
    disturbed::Disturbed, //
};
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    ops::ControlFlow, //
};
use tdx::{
    abi::{
        metadata::vcpu,
        sept::State,
        Gpa,
        Hkid,
        Leaf,
        Level,
        Operand,
        Pfn,
        Status, //
    },
    scenario::Fault,
    sept::{
        self,
        Flush,
        Host as _,
        Memory,
        Range,
        Run, //
    },
    td::{
        state::{
            Building,
            Mapped, //
        },
        with_plain_params,
        Host,
        Leak,
        Leaked,
        Lender,
        Resources,
        Step,
        Td,
        Why, //
    },
    tdh, //
};

type TestLender<'a> = Lender<&'a Disturbed<'a>>;
type TestTd<'a, 'l, S> = Td<&'a Disturbed<'a>, &'l mut TestLender<'a>, S>;

fn gpa(page: u64) -> Gpa {
    Gpa::new(0x80_0000_0000 + page * Level::K4.size()).unwrap()
}

/// 2 MiB, split and merged.
fn split_and_merge<S: Mapped>(td: &mut TestTd<'_, '_, S>) {
    let state = |td: &TestTd<'_, '_, S>| td.entry(gpa(0), Level::M2).unwrap().info.state();
    let mapped = state(td);
    td.split(gpa(0), Level::M2).unwrap();
    assert_eq!(state(td), Some(State::NlMapped));
    td.merge(gpa(0), Level::M2).unwrap();
    assert_eq!(state(td), mapped);
}

/// Runs `body` on a machine to which everything must have come back in the end.
fn on_machine(body: impl FnOnce(&Disturbed<'_>) -> Result<(), Fault>) {
    let bench = ModelBench::with_memory(3);
    if let Err(fault) = body(&Disturbed::new(&bench)) {
        panic!("{fault}");
    }
    bench.assert_all_given_back();
}

fn with_vcpu<'a, 'l>(lender: &'l mut TestLender<'a>) -> Result<TestTd<'a, 'l, Building>, Fault> {
    let bench = *lender.resources();
    Ok(Td::plain(bench, lender)?.with_vcpu()?)
}

fn large_memory(bench: &Disturbed<'_>, pages: u64) -> Memory {
    Memory {
        first: bench.model().gib_page(0),
        pages,
    }
}

/// How many calls of each leaf, in the order of the first.
fn in_order(calls: &[Leaf]) -> Vec<(Leaf, usize)> {
    let mut order: Vec<(Leaf, usize)> = Vec::new();
    for &leaf in calls {
        match order.last_mut() {
            Some((last, count)) if *last == leaf => *count += 1,
            _ => order.push((leaf, 1)),
        }
    }
    order
}

/// What the end of a TD with one vCPU calls, whatever was mapped.
fn end(vcpu_flushes: usize, pages: usize) -> Vec<(Leaf, usize)> {
    vec![
        (Leaf::VpFlush, vcpu_flushes),
        (Leaf::MngVpflushdone, 1),
        // Once on each of the two CPUs of the package.
        (Leaf::PhymemCacheWb, 2),
        (Leaf::MngKeyFreeid, 1),
        (Leaf::PhymemPageReclaim, pages),
        // The root page.
        (Leaf::PhymemPageWbinvd, 1),
    ]
}

/// Pages of the model's TDR, TDCS and TDVPS.
const CONTROL_PAGES: usize = 1 + 6 + 6;

#[test]
fn a_dropped_td_costs_one_reclaim_a_page() {
    on_machine(|bench| {
        let mut lender = Lender::new(bench);
        let mut td = with_vcpu(&mut lender)?;
        let spare = td.host_mut().take_page().unwrap();
        let range = Range::new(gpa(0), Level::K4, 1).unwrap();
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { td.add(&range, spare, bench.model().large_page()) }?;
        let mut td = td.finalise()?;
        // 1 GiB at 2M, and 300 small pages.
        let gib = large_memory(bench, Level::G1.pages());
        let small = Memory {
            first: bench.model().gib_page(Level::G1.pages()),
            pages: 300,
        };
        // SAFETY: As above.
        unsafe {
            td.map(gpa(Level::G1.pages()), &[gib], Level::M2)?;
            td.map(gpa(1), &[small], Level::K4)?;
        }
        bench.take_calls();
        drop(td);
        // Tables: 512G, two of 1G, one of 2M.
        let pages = CONTROL_PAGES + 4 + 1 + 512 + 300;
        assert_eq!(in_order(&bench.take_calls()), end(1, pages));
        Ok(())
    });
}

#[test]
fn a_td_can_be_dropped_at_any_time() {
    let ends = |bench: &Disturbed<'_>| bench.take_calls().contains(&Leaf::MngKeyFreeid);
    on_machine(|bench| {
        with_plain_params(bench, |params| {
            let mut host = Lender::new(bench);
            drop(Td::create(bench, &mut host)?);
            assert!(ends(bench));
            drop(Td::create(bench, &mut host)?.configure_key()?);
            assert!(ends(bench));
            let key_configured = Td::create(bench, &mut host)?.configure_key()?;
            drop(key_configured.initialise(params)?);
            assert!(ends(bench));
            drop(Td::plain(bench, &mut host)?.create_vcpu()?);
            assert!(ends(bench));
            drop(Td::plain(bench, &mut host)?.create_vcpu()?.add_pages()?);
            assert!(ends(bench));
            drop(with_vcpu(&mut host)?);
            assert!(ends(bench));
            drop(with_vcpu(&mut host)?.finalise()?);
            assert!(ends(bench));
            Ok(())
        })
    });
}

/// Does a step that the TDX module refuses after `after` calls of `leaf`, and returns what the step
/// started from.
#[track_caller]
fn refused<T, N>(
    bench: &Disturbed<'_>,
    (leaf, after): (Leaf, u32),
    from: T,
    step: impl FnOnce(T) -> Step<N, T>,
) -> T {
    bench.refuse(leaf, after);
    let Err(failed) = step(from) else {
        panic!("{} was not refused", leaf.name());
    };
    assert!(
        matches!(failed.why, Why::Refused(error) if error.leaf == leaf && error.is_busy()),
        "{}",
        failed.why
    );
    failed.from
}

#[test]
fn a_step_that_is_refused_can_be_done_again() {
    on_machine(|bench| {
        with_plain_params(bench, |params| {
            let create = |(machine, lender)| Td::create(machine, lender);
            let mut lender = Lender::new(bench);
            let from = (bench, &mut lender);
            let from = refused(bench, (Leaf::MngCreate, 0), from, create);
            let td = create(from)?;
            let td = refused(bench, (Leaf::MngKeyConfig, 0), td, Td::configure_key);
            let mut td = td.configure_key()?;
            for busy in [
                (Leaf::SysRd, 0),
                (Leaf::MngAddcx, 0),
                (Leaf::MngAddcx, 4),
                (Leaf::MngInit, 0),
            ] {
                td = refused(bench, busy, td, |td| td.initialise(params));
            }
            let td = td.initialise(params)?;
            let td = refused(bench, (Leaf::VpCreate, 0), td, Td::create_vcpu);
            let mut vcpu = td.create_vcpu()?;
            for busy in [(Leaf::SysRd, 0), (Leaf::VpAddcx, 0), (Leaf::VpAddcx, 3)] {
                vcpu = refused(bench, busy, vcpu, |vcpu| vcpu.add_pages());
            }
            let vcpu = vcpu.add_pages()?;
            let vcpu = refused(bench, (Leaf::VpInit, 0), vcpu, |vcpu| vcpu.init(0, 0));
            let td = vcpu.init(0, 0)?;
            let td = refused(bench, (Leaf::MrFinalize, 0), td, Td::finalise);
            let mut td = td.finalise()?;

            let state = td.vcpu(0).map(|vcpu| vcpu.rd(vcpu::VCPU_INDEX));
            assert_eq!(state, Some(Ok(0)));
            assert!(td.vcpu(1).is_none());
            let torn_down = td.tear_down()?;
            assert_eq!(torn_down.leaks(), 0);
            Ok(())
        })
    });
}

#[test]
fn pages_are_split_and_merged_before_and_after_the_td_is_final() {
    on_machine(|bench| {
        let mut lender = Lender::new(bench);
        let mut td = with_vcpu(&mut lender)?;
        let large = large_memory(bench, 512);
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { td.map(gpa(0), &[large], Level::M2) }?;
        split_and_merge(&mut td);
        assert_eq!(td.host().kicks(), 0);
        let mut td = td.finalise()?;
        split_and_merge(&mut td);
        assert_eq!(td.host().kicks(), 2);

        // Refused, the mapping is as it was, and accessible.
        let state = |td: &TestTd<'_, '_, _>| td.entry(gpa(0), Level::M2).unwrap().info.state();
        for leaf in [Leaf::MemRangeBlock, Leaf::MemTrack, Leaf::MemPageDemote] {
            bench.refuse(leaf, 0);
            assert!(td.split(gpa(0), Level::M2).is_err());
            // Unblocking asks for a TDH.MEM.TRACK before.
            let blocked = leaf == Leaf::MemTrack;
            let expected = if blocked {
                State::PendingBlocked
            } else {
                State::Pending
            };
            assert_eq!(state(&td), Some(expected), "{}", leaf.name());
        }
        split_and_merge(&mut td);
        Ok(())
    });
}

#[test]
fn what_is_unmapped_is_lent_no_more() {
    on_machine(|bench| {
        let mut lender = Lender::new(bench);
        let mut td = with_vcpu(&mut lender)?;
        let large = large_memory(bench, 512);
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { td.map(gpa(0), &[large], Level::K4) }?;
        let run = |page: u64, nr| {
            let first = large.first.checked_add(page).unwrap();
            Run::new(Range::new(gpa(page), Level::K4, nr).unwrap(), first).unwrap()
        };
        td.unmap(&[run(0, 10), run(100, 12)], Flush::Pages)?;
        // The page before the refused one is unmapped.
        bench.refuse(Leaf::MemPageRemove, 1);
        let partial = td.unmap(&[run(200, 4)], Flush::Pages).unwrap_err();
        assert_eq!(partial.pages, 1);
        bench.take_calls();
        drop(td);
        // Tables of three levels.
        let pages = CONTROL_PAGES + 3 + 512 - 10 - 12 - 1;
        assert_eq!(in_order(&bench.take_calls()), end(1, pages));
        Ok(())
    });
}

#[test]
fn locks_that_are_held_do_not_stop_the_end() {
    for leaf in [
        Leaf::VpFlush,
        Leaf::MngVpflushdone,
        Leaf::PhymemCacheWb,
        Leaf::MngKeyFreeid,
        Leaf::PhymemPageReclaim,
        Leaf::PhymemPageWbinvd,
    ] {
        on_machine(|bench| {
            let mut lender = Lender::new(bench);
            let td = with_vcpu(&mut lender)?;
            bench.refuse(leaf, 0);
            drop(td);
            Ok(())
        });
    }
}

#[test]
fn a_vcpu_is_flushed_where_it_is() {
    on_machine(|bench| {
        let mut lender = Lender::new(bench);
        let mut td = with_vcpu(&mut lender)?;
        let tdvpr = td.vcpu(0).unwrap().tdvpr();
        let mut cpu = 0;
        bench.on_each_cpu(&mut || {
            match cpu {
                0 => tdh::vp::flush(bench, tdvpr).map(|_| ()),
                // This associates it.
                _ => tdh::vp::rd(bench, tdvpr, vcpu::VCPU_INDEX).map(|_| ()),
            }
            .unwrap();
            cpu += 1;
            ControlFlow::Continue(())
        });
        bench.take_calls();
        drop(td);
        assert_eq!(in_order(&bench.take_calls()), end(2, CONTROL_PAGES));
        Ok(())
    });
}

#[test]
fn an_end_that_fails_leaves_nothing_but_another_attempt() {
    let broken = [
        (Leaf::VpFlush, Status::VCPU_ASSOCIATED),
        (Leaf::MngVpflushdone, Status::FLUSHVP_NOT_DONE),
        (
            Leaf::PhymemCacheWb,
            Status::OPERAND_BUSY.with(Operand::WBCACHE),
        ),
        (Leaf::MngKeyFreeid, Status::WBCACHE_NOT_COMPLETE),
    ];
    for (leaf, status) in broken {
        on_machine(|bench| {
            let mut lender = Lender::new(bench);
            let td = with_vcpu(&mut lender)?;
            bench.break_leaf(leaf, status);
            let failed = td.tear_down().err().unwrap();
            assert!(matches!(failed.why, Why::Refused(error) if error.status == status));
            bench.calm();
            let torn_down = failed.from.tear_down()?;
            assert_eq!((torn_down.leaks(), torn_down.host().leak()), (0, None));
            Ok(())
        });
    }
}

/// What a host refuses to give from now on, and what it was told.
#[derive(Default)]
struct Shortage {
    pages: Cell<bool>,
    /// A page that it gives though TDX does not cover it.
    wrong_page: Cell<Option<Pfn>>,
    keyids: Cell<bool>,
    account: Cell<bool>,
    vcpus: Cell<bool>,
    leaks: RefCell<Vec<Leak>>,
}

/// A lender with shortages.
struct Poor<'a> {
    lender: Lender<&'a Disturbed<'a>>,
    short: &'a Shortage,
}

impl<'a> Poor<'a> {
    fn new(bench: &'a Disturbed<'a>, short: &'a Shortage) -> Self {
        Self {
            lender: Lender::new(bench),
            short,
        }
    }
}

impl sept::Host for Poor<'_> {
    fn take_page(&mut self) -> Option<Pfn> {
        if self.short.pages.get() {
            return None;
        }
        self.short
            .wrong_page
            .get()
            .or_else(|| self.lender.take_page())
    }

    fn return_page(&mut self, page: Pfn) {
        if self.short.wrong_page.get() != Some(page) {
            self.lender.return_page(page);
        }
    }

    fn table_back(&mut self, gpa: Gpa, level: Level, table: Pfn) {
        self.lender.table_back(gpa, level, table);
    }

    fn kick(&mut self) {
        self.lender.kick();
    }
}

impl Host for Poor<'_> {
    fn take_keyid(&mut self) -> Option<Hkid> {
        (!self.short.keyids.get()).then(|| self.lender.take_keyid())?
    }

    fn return_keyid(&mut self, hkid: Hkid) {
        self.lender.return_keyid(hkid);
    }

    fn global_keyid(&self) -> Hkid {
        self.lender.global_keyid()
    }

    fn lend(&mut self, memory: Memory) -> bool {
        !self.short.account.get() && self.lender.lend(memory)
    }

    fn lent(&mut self) -> Option<Memory> {
        self.lender.lent()
    }

    fn memory_back(&mut self, memory: Memory) {
        self.lender.memory_back(memory);
    }

    fn vcpus(&mut self) -> &mut [Option<Pfn>] {
        if self.short.vcpus.get() {
            &mut []
        } else {
            self.lender.vcpus()
        }
    }

    fn on_each_package(&mut self, f: &mut dyn FnMut()) {
        self.lender.on_each_package(f);
    }

    fn on_each_cpu(&mut self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        self.lender.on_each_cpu(f);
    }

    fn leaked(&mut self, leak: Leak) {
        self.short.leaks.borrow_mut().push(leak);
    }
}

/// Does a step that fails for want of something, and returns what the step started from.
#[track_caller]
fn wants<T, N>(why: Why, from: T, step: impl FnOnce(T) -> Step<N, T>) -> T {
    let Err(failed) = step(from) else {
        panic!("{why} was expected");
    };
    assert_eq!(failed.why, why);
    failed.from
}

#[test]
fn a_step_for_which_the_host_is_too_poor_can_be_done_again() {
    on_machine(|bench| {
        with_plain_params(bench, |params| {
            let short = Shortage::default();
            // A step with neither pages nor pages that TDX covers.
            fn no_page<T, N>(short: &Shortage, from: T, step: impl Fn(T) -> Step<N, T>) -> T {
                short.pages.set(true);
                let from = wants(Why::NoMemory, from, &step);
                short.pages.set(false);
                let page = Pfn::new(1).unwrap();
                short.wrong_page.set(Some(page));
                let from = wants(Why::NotConvertible(page), from, &step);
                short.wrong_page.set(None);
                from
            }
            let create = |(machine, host)| Td::create(machine, host);
            let mut poor = Poor::new(bench, &short);
            let from = (bench, &mut poor);
            short.keyids.set(true);
            let from = wants(Why::NoKeyid, from, create);
            short.keyids.set(false);
            bench.take_calls();
            let from = no_page(&short, from, create);
            assert_eq!(bench.take_calls(), []);
            let td = create(from)?.configure_key()?;
            let td = no_page(&short, td, |td| td.initialise(params));
            let td = td.initialise(params)?;
            short.vcpus.set(true);
            let td = wants(Why::NoMemory, td, Td::create_vcpu);
            short.vcpus.set(false);
            let td = no_page(&short, td, Td::create_vcpu);
            let vcpu = no_page(&short, td.create_vcpu()?, |vcpu| vcpu.add_pages());
            let td = vcpu.add_pages()?.init(0, 0)?;
            // There is room for one vCPU.
            let mut td = wants(Why::NoMemory, td, Td::create_vcpu);

            let large = large_memory(bench, 512);
            let refused = |why: Option<sept::Why>| assert_eq!(why, Some(sept::Why::NoMemory));
            short.account.set(true);
            // SAFETY: The memory of the bench is nobody else's.
            let stopped = unsafe { td.map(gpa(0), &[large], Level::M2) };
            refused(stopped.err().map(|partial| partial.why));
            short.account.set(false);
            short.pages.set(true);
            // SAFETY: As above.
            let stopped = unsafe { td.map(gpa(0), &[large], Level::M2) };
            refused(stopped.err().map(|partial| partial.why));
            short.pages.set(false);
            // SAFETY: As above.
            unsafe { td.map(gpa(0), &[large], Level::M2) }?;
            let mut td = td.finalise()?;
            short.pages.set(true);
            refused(td.split(gpa(0), Level::M2).err().map(|stop| stop.why));
            short.pages.set(false);
            assert_eq!(td.tear_down()?.leaks(), 0);
            assert_eq!(*short.leaks.borrow(), []);
            Ok(())
        })
    });
}

/// Makes a TD with `memory` mapped.
fn poor_td<'a, 'l>(
    poor: &'l mut Poor<'a>,
    memory: &[Memory],
) -> Result<Td<&'a Disturbed<'a>, &'l mut Poor<'a>, Building>, Fault> {
    let bench = *poor.lender.resources();
    let mut td = Td::plain(bench, poor)?.with_vcpu()?;
    // SAFETY: The memory of the bench is nobody else's.
    unsafe { td.map(gpa(0), memory, Level::M2) }?;
    Ok(td)
}

#[test]
fn all_of_a_td_that_keeps_its_keyid_is_leaked() {
    let bench = ModelBench::with_memory(3);
    let bench = Disturbed::new(&bench);
    let short = Shortage::default();
    let large = large_memory(&bench, 512);
    let mut poor = Poor::new(&bench, &short);
    let td = poor_td(&mut poor, &[large]).unwrap();
    let hkid = td.id().hkid;
    bench.break_leaf(Leaf::MngKeyFreeid, Status::WBCACHE_NOT_COMPLETE);
    drop(td);
    let leaks = short.leaks.borrow();
    assert_eq!(leaks[0].what, Leaked::Keyid(hkid));
    assert!(leaks.iter().any(|leak| leak.what == Leaked::Memory(large)));
    // The KeyID, the 2M, pages of 512G and 1G.
    assert_eq!(leaks.len(), 1 + 1 + CONTROL_PAGES + 2);
    let all = |leak: &Leak| leak.error.status == Status::WBCACHE_NOT_COMPLETE;
    assert!(leaks.iter().all(all));
    let text = leaks[0].to_string();
    assert!(text.starts_with(&format!(
        "KeyID {} leaked, TDH.MNG.KEY.FREEID: TDX_WBCACHE",
        hkid.get()
    )));
}

#[test]
fn a_page_that_cannot_be_reclaimed_is_leaked_with_the_root() {
    let bench = ModelBench::with_memory(3);
    let bench = Disturbed::new(&bench);
    let short = Shortage::default();
    let large = large_memory(&bench, 512);
    let mut poor = Poor::new(&bench, &short);
    let td = poor_td(&mut poor, &[large]).unwrap();
    let root = td.id().tdr;
    bench.keep_page(large.first, Status::LIFECYCLE_STATE_INCORRECT);
    let torn_down = td.tear_down().map_err(|failed| failed.why).unwrap();
    let leaks = short.leaks.borrow();
    let what: Vec<_> = leaks.iter().map(|leak| leak.what).collect();
    let root = Memory {
        first: root,
        pages: 1,
    };
    assert_eq!(what, [Leaked::Memory(large), Leaked::Memory(root)]);
    assert_eq!(torn_down.leaks(), 2);
    assert_eq!(
        leaks.last().map(|leak| leak.error.status),
        Some(Status::TD_ASSOCIATED_PAGES_EXIST)
    );
    let text = leaks[0].to_string();
    let pfn = large.first.get();
    assert!(
        text.starts_with(&format!("512 pages from PFN {pfn:#x} on leaked, ")),
        "{text}"
    );
}
