// SPDX-License-Identifier: GPL-2.0

//! Initial memory and its measurement.

use super::{
    ensure,
    fixture::{
        with_td,
        TestTd, //
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
        self,
        Range, //
    },
    tdh::{
        self,
        mr::Chunk, //
    },
};

/// Words of MRTD.
type Digest = [u64; 6];

/// Measures one page with `word` at its beginning, and returns MRTD.
fn measured<B: Bench>(t: &mut TestTd<'_, B>, gpa: Gpa, word: u64) -> Result<Digest, Fault> {
    let bench = t.bench;
    t.add_vcpu()?;
    t.link_tables(gpa)?;
    let range = Range::new(gpa, Level::K4, 1).ok_or(Fault::Resources)?;
    let page = t.alloc_private()?;
    let source = bench.alloc().ok_or(Fault::Resources)?;
    bench.write(source, &[word]);
    // SAFETY: The page was just allocated, and is freed after it was reclaimed.
    let added = unsafe { sept::add(bench, &t.td, &range, page, source) };
    bench.free(source);
    added?;
    for chunk in 0..16u64 {
        let chunk = Chunk::try_new(chunk).ok_or(Fault::Resources)?;
        tdh::mr::extend(bench, t.td.tdr, gpa, chunk)?;
    }
    tdh::mr::finalize(bench, t.td.tdr)?;

    let mut digest = Digest::default();
    for (word, index) in digest.iter_mut().zip(0..) {
        *word = tdh::mng::rd(bench, t.td.tdr, td::MRTD.element(index))?;
    }
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
        with_td(bench, |t| {
            *digest = measured(t, gpa, word)?;
            Ok(())
        })?;
    }
    let [first, again, content, place] = digests;
    ensure!(first != Digest::default());
    ensure!(first == again);
    ensure!(first != content);
    ensure!(first != place);
    Ok(())
}
