// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.RD: reads a word of the private memory of a debug TD.

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

/// RCX: GPA. RDX: TDR. Returns the word in R8.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    args.r8 = 0;
    let word = debug::Word::find(cx, args, Leaf::MemRd)?;
    args.r8 = cx.p.load(word.pa());
    Ok(())
}
