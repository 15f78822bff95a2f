// SPDX-License-Identifier: GPL-2.0

//! What the functions of `tdh` return that no operation on a TD looks at.

use crate::bench::ModelBench;
use tdx::{
    abi::{
        metadata::{
            global,
            td,
            vcpu,
            FieldId, //
        },
        sept::State,
        Args,
        Gpa,
        HostPa,
        Level,
        Operand,
        Pfn,
        Status, //
    },
    scenario::{
        with_td,
        Fault,
        TestTd, //
    },
    sept::{
        self,
        Range, //
    },
    td::Resources,
    tdh::{
        self,
        mem::Word,
        sys::InfoBuffers,
        vp::Hints,
        Field, //
    },
};

const GPA: u64 = 0x4000_0000;

fn gpa(page: u64) -> Gpa {
    Gpa::new(GPA + page * Level::K4.size()).unwrap()
}

/// Runs `body` on a TD with a vCPU and tables at the GPA, before it is final.
fn on_td(body: impl FnOnce(&mut TestTd<'_, ModelBench>) -> Result<(), Fault>) {
    let bench = ModelBench::new();
    let outcome = with_td(&bench, |t| {
        t.link_tables(gpa(0))?;
        body(t)
    });
    if let Err(fault) = outcome {
        panic!("{fault}");
    }
    bench.assert_all_given_back();
}

/// All fields of a context, one after the other.
fn walk(
    first: Option<FieldId>,
    read: impl Fn(FieldId) -> Result<Field, tdx::seamcall::Error>,
) -> Vec<(FieldId, u64)> {
    let mut fields = Vec::new();
    let mut next = first;
    while let Some(id) = next {
        match read(id) {
            Ok(field) => {
                fields.push((id, field.value));
                next = field.next;
            }
            // CPUID_VALUES has holes, which the module names as the next field all the same:
            // enough was seen.
            Err(error) => {
                assert_eq!(error.status, Status::METADATA_FIELD_ID_INCORRECT);
                assert_eq!(id.into_raw() >> 32, 0x9410_0003);
                next = None;
            }
        }
        assert!(fields.len() < 10_000);
    }
    fields
}

fn value(fields: &[(FieldId, u64)], id: FieldId) -> Option<u64> {
    let code = |id: FieldId| (id.code().get(), id.class().get());
    let field = fields.iter().find(|(other, _)| code(*other) == code(id));
    field.map(|(_, value)| *value)
}

#[test]
fn fields_in_their_order() {
    on_td(|t| {
        let module = walk(tdh::sys::first_field(t.bench)?, |id| {
            tdh::sys::rd_next(t.bench, id)
        });
        assert!(module.len() > 60, "{}", module.len());
        assert_eq!(value(&module, global::MAX_TDMRS), Some(64));

        let tdr = t.td.tdr;
        let fields = walk(tdh::mng::first_field(t.bench, tdr)?, |id| {
            tdh::mng::rd_next(t.bench, tdr, id)
        });
        assert_eq!(value(&fields, td::NUM_VCPUS), Some(1));

        let tdvpr = t.vcpu().unwrap();
        let fields = walk(tdh::vp::first_field(t.bench, tdvpr)?, |id| {
            tdh::vp::rd_next(t.bench, tdvpr, id)
        });
        assert_eq!(value(&fields, vcpu::VCPU_INDEX), Some(0));
        Ok(())
    });
}

#[test]
fn fields_that_the_host_writes() {
    /// HP_LOCK_TIMEOUT, in microseconds.
    const HP_LOCK_TIMEOUT: FieldId = FieldId::from_raw(0x9110_0003_0000_0011);
    on_td(|t| {
        let tdr = t.td.tdr;
        let id = HP_LOCK_TIMEOUT;
        assert_eq!(tdh::mng::wr(t.bench, tdr, id, 20_000, u64::MAX)?, 1_000_000);
        assert_eq!(tdh::mng::rd(t.bench, tdr, id)?, 20_000);
        let refused = tdh::mng::wr(t.bench, tdr, td::NUM_VCPUS, 2, u64::MAX).unwrap_err();
        assert_eq!(refused.status, Status::METADATA_FIELD_NOT_WRITABLE);

        let tdvpr = t.vcpu().unwrap();
        // SAFETY: The field is no address.
        let old = unsafe { tdh::vp::wr(t.bench, tdvpr, vcpu::PEND_NMI, 1, 0xff) }?;
        assert_eq!((old, tdh::vp::rd(t.bench, tdvpr, vcpu::PEND_NMI)?), (0, 1));
        tdh::mng::key_reclaimid(t.bench, tdr)?;
        Ok(())
    });
}

#[test]
fn the_module_as_a_whole() {
    let bench = ModelBench::new();
    let info = bench.alloc().unwrap();
    let cmrs = bench.alloc().unwrap();
    let buffers = InfoBuffers {
        info: HostPa::page(info),
        cmrs: HostPa::page(cmrs),
    };
    let word = |page: Pfn, n: u64| {
        let mut bytes = [0; 8];
        bench.computer.read(page.pa() + 8 * n, &mut bytes);
        u64::from_le_bytes(bytes)
    };
    // SAFETY: The memory of the bench is nobody else's.
    let nr = unsafe { tdh::sys::info(&bench, buffers) }.unwrap();
    assert_eq!(nr, 32);
    let first = word(cmrs, 0);
    let field = tdh::sys::rd(&bench, global::CMR_BASE).unwrap();
    assert_eq!(first, field);

    // All fields need more than a page, or they do not; they come to an end.
    let (mut from, mut calls) = (None, 0);
    loop {
        // SAFETY: As above.
        from = unsafe { tdh::sys::rdall(&bench, info, from) }.unwrap();
        calls += 1;
        assert!(word(info, 0) & 0xffff <= 4096 && calls < 16);
        if from.is_none() {
            break;
        }
    }
    bench.free(info);
    bench.free(cmrs);

    // What comes only once, or in another order.
    let out_of_order = [
        (tdh::sys::init(&bench), Status::SYS_INIT_NOT_PENDING),
        (tdh::sys::lp_init(&bench), Status::SYS_LP_INIT_NOT_PENDING),
        (
            tdh::sys::key_config(&bench).map(|_| ()),
            Status::SYS_KEY_CONFIG_NOT_PENDING,
        ),
        (tdh::sys::update(&bench), Status::SYS_STATE_INCORRECT),
    ];
    for (result, status) in out_of_order {
        assert_eq!(result.unwrap_err().status, status);
    }
    tdh::sys::lp_shutdown(&bench).unwrap();
    bench.assert_all_given_back();

    let handoff = tdh::sys::rd(&bench, global::MODULE_HV).unwrap();
    let refused = tdh::sys::shutdown(&bench, u16::MAX).unwrap_err();
    assert_eq!(refused.status.operand(), Some(Operand::RCX));
    tdh::sys::shutdown(&bench, handoff as u16).unwrap();
    let gone = tdh::sys::rd(&bench, global::MODULE_HV).unwrap_err();
    assert_eq!(gone.status, Status::SYS_SHUTDOWN);
}

#[test]
fn a_disabled_module_answers_nothing() {
    let bench = ModelBench::new();
    // SAFETY: The module has no memory.
    unsafe { tdh::sys::disable(&bench) }.unwrap();
    let gone = tdh::sys::rd(&bench, global::MODULE_HV).unwrap_err();
    assert_eq!(gone.status, Status::VMFAILINVALID);
}

#[test]
fn a_page_in_the_place_of_another() {
    on_td(|t| {
        let (old, new) = (t.alloc_private()?, t.alloc_private()?);
        let one = Range::new(gpa(0), Level::K4, 1).unwrap();
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::aug(t.bench, &t.td, &one, old) }?;
        // SAFETY: As above.
        let given_back = unsafe { tdh::mem::page_relocate(t.bench, t.td.tdr, gpa(0), new) }?;
        assert_eq!(given_back, old);
        let entry = t.entry(gpa(0), Level::K4)?;
        assert_eq!(Pfn::containing(entry.entry), new);
        t.free_private(old);
        Ok(())
    });
}

#[test]
fn blocking_is_undone() {
    on_td(|t| {
        let page = t.alloc_private()?;
        let one = Range::new(gpa(0), Level::K4, 1).unwrap();
        let at = gpa(0).at(Level::K4).unwrap();
        // SAFETY: The memory of the bench is nobody else's.
        unsafe { sept::aug(t.bench, &t.td, &one, page) }?;
        tdh::mr::finalize(t.bench, t.td.tdr)?;
        sept::block(t.bench, &t.td, &one)?;
        let early = tdh::mem::range_unblock(t.bench, t.td.tdr, at).unwrap_err();
        let status = Status::TLB_TRACKING_NOT_DONE.with(Operand::SEPT_TREE);
        assert_eq!(early.status, status);
        sept::track(t.bench, &t.td)?;
        tdh::mem::range_unblock(t.bench, t.td.tdr, at)?;
        let entry = t.entry(gpa(0), Level::K4)?;
        assert_eq!(entry.info.state(), Some(State::Pending));
        Ok(())
    });
}

#[test]
fn content_is_for_the_host_of_a_debug_td_only() {
    on_td(|t| {
        let word = Word::new::<1>();
        let error = tdh::mem::rd(t.bench, t.td.tdr, gpa(0), word).unwrap_err();
        assert_eq!(error.status, Status::TD_NON_DEBUG);
        let error = tdh::mem::wr(t.bench, t.td.tdr, gpa(0), word, 1).unwrap_err();
        assert_eq!(error.status, Status::TD_NON_DEBUG);
        Ok(())
    });
}

#[test]
fn a_vcpu_that_cannot_be_entered() {
    on_td(|t| {
        // The TD is not final.
        let tdvpr = t.vcpu().unwrap();
        let hints = Hints::default();
        // SAFETY: The guest does not run.
        let result = unsafe { tdh::vp::enter(t.bench, tdvpr, hints, Args::default()) };
        assert_eq!(result.unwrap_err().status, Status::OP_STATE_INCORRECT);
        Ok(())
    });
}
