// SPDX-License-Identifier: GPL-2.0

//! What a walk of the secure EPT shows.

use tdx::{
    abi::{
        sept::State,
        Gpa,
        Level,
        Status, //
    },
    bench::ModelBench,
    scenario::Fault,
    sept::{
        self,
        Memory,
        Range, //
    },
    td::{
        Lender,
        Td, //
    },
};

const GPA: u64 = 0x4000_0000;

#[test]
fn tables_pages_and_what_is_blocked() {
    let bench = ModelBench::new();
    let shown = show(&bench);
    let expected = "\
        gpa=0x0 size=0x8000000000 level=3 state=NL_MAPPED pfn=0x0 n=1\n\
        gpa=0x40000000 size=0x40000000 level=2 state=NL_MAPPED pfn=0x0 n=1\n\
        gpa=0x40000000 size=0x200000 level=1 state=PENDING pfn=0x120000 n=1\n\
        gpa=0x40200000 size=0x200000 level=1 state=NL_MAPPED pfn=0x0 n=1\n\
        gpa=0x40200000 size=0x1000 level=0 state=PENDING_BLOCKED pfn=0x120200 n=1\n\
        gpa=0x40201000 size=0x2000 level=0 state=PENDING pfn=0x120201 n=2\n\
        blocked:\n\
        gpa=0x40200000 size=0x200000 level=1 state=NL_BLOCKED pfn=0x0 n=1\n";
    match shown {
        Ok(shown) => assert_eq!(shown, expected),
        Err(fault) => panic!("{fault}"),
    }
    bench.assert_all_given_back();
}

fn show(bench: &ModelBench) -> Result<String, Fault> {
    let gpa = |offset| Gpa::new(GPA + offset).unwrap();
    let mut lender = Lender::new(bench);
    let mut td = Td::plain(bench, &mut lender)?;
    let memory = Memory {
        first: bench.large_page(),
        pages: Level::M2.pages() + 3,
    };
    // SAFETY: The memory of the bench is nobody else's.
    unsafe { td.map(gpa(0), &[memory], Level::M2) }?;
    let small = Range::new(gpa(0x20_0000), Level::K4, 1).unwrap();
    sept::block(bench, td.id(), &small)?;

    let mut shown = String::new();
    let all = Range::new(Gpa::new(0).unwrap(), Level::G512, 256).unwrap();
    td.walk(&all, |span| shown += &format!("{span}\n"))?;

    // What is below a table page that is blocked cannot be seen.
    let table = Range::new(gpa(0x20_0000), Level::M2, 1).unwrap();
    sept::block(bench, td.id(), &table)?;
    shown += "blocked:\n";
    td.walk(&table, |span| shown += &format!("{span}\n"))?;
    assert_eq!(
        td.entry(gpa(0x20_0000), Level::M2)?.info.state(),
        Some(State::NlBlocked)
    );

    // Shared addresses are none of a secure EPT.
    let shared = Range::new(Gpa::new(1 << 47).unwrap(), Level::G512, 1).unwrap();
    let refused = td.walk(&shared, |_| panic!("there is nothing"));
    assert_eq!(refused.unwrap_err().status.class(), Status::OPERAND_INVALID);
    Ok(shown)
}
