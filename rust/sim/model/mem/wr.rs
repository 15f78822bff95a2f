// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.WR: writes a word of the private memory of a debug TD.

use super::{
    super::{
        platform::Platform,
        Completion,
        Ctx, //
    },
    debug, //
};
use crate::abi::{
    Args,
    Leaf, //
};

/// RCX: GPA. RDX: TDR. R8: data. Returns the data before in R8.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let data = args.r8;
    args.r8 = 0;
    let word = debug::Word::find(cx, args, Leaf::MemWr)?;
    args.r8 = cx.p.load(word.pa());
    cx.p.store(word.pa(), data);
    Ok(())
}
