// SPDX-License-Identifier: GPL-2.0

//! Initial memory and its measurement.

use super::{
    ensure,
    fixture::{
        tear_down, //
    },
    Bench,
    Fault, //
};
use crate::{
    abi::{
        metadata::td,
        Gpa,
        Level, //
    },
    sept::{
        Host,
        Range, //
    },
    td::{
        Lender,
        Td, //
    },
    tdh, //
};

/// Words of MRTD.
type Digest = [u64; 6];

/// Makes a TD, measures one page with `word` at its beginning, and returns MRTD.
fn measured<B: Bench>(bench: &B, gpa: Gpa, word: u64) -> Result<Digest, Fault> {
    let mut lender = Lender::new(bench);
    let mut td = Td::plain(bench, &mut lender)?;
    let range = Range::new(gpa, Level::K4, 1).ok_or(Fault::Resources)?;
    let page = td.host_mut().take_page().ok_or(Fault::Resources)?;
    let source = bench.alloc().ok_or(Fault::Resources)?;
    bench.write(source, &[word]);
    // SAFETY: The page was just allocated, and is freed when it is back.
    let added = unsafe { td.add(&range, page, source) };
    bench.free(source);
    added?;
    td.extend(gpa)?;
    let td = td.complete()?;

    let mut digest = Digest::default();
    for (word, index) in digest.iter_mut().zip(0..) {
        *word = tdh::mng::rd(bench, td.id().tdr, td::MRTD.element(index))?;
    }
    tear_down(td)?;
    Ok(digest)
}

/// The measurement depends on where the memory is and on what is in it, and on nothing else.
///
/// # Errors
///
/// What was not as it should be.
pub fn measurement<B: Bench>(bench: &B) -> Result<(), Fault> {
    let gpa = Gpa::new(0x4000_0000).ok_or(Fault::Resources)?;
    let other = Gpa::new(0x4000_1000).ok_or(Fault::Resources)?;
    let mut digests = [Digest::default(); 4];
    let inputs = [(gpa, 1), (gpa, 1), (gpa, 2), (other, 1)];
    for (digest, (gpa, word)) in digests.iter_mut().zip(inputs) {
        *digest = measured(bench, gpa, word)?;
    }
    let [first, again, content, place] = digests;
    ensure!(first != Digest::default());
    ensure!(first == again);
    ensure!(first != content);
    ensure!(first != place);
    Ok(())
}
