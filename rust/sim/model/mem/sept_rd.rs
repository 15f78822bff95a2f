// SPDX-License-Identifier: GPL-2.0

//! TDH.MEM.SEPT.RD: reads an entry of the secure EPT.

use super::{
    super::{
        lock::Mode,
        platform::Platform,
        sept,
        td::Td,
        Completion,
        Ctx, //
    },
    target::{
        Levels,
        Target, //
    },
};
use crate::abi::{
    Args,
    Leaf,
    Level,
    Operand,
    Status, //
};

/// RDX: read the attributes of L2 VMs too.
const L2_ATTRIBUTES: u64 = 1;

/// RCX: GPA and level. RDX: TDR, and [`L2_ATTRIBUTES`] in bit 0. Returns the entry in RCX and RDX.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (word, tdr) = (args.rcx, args.rdx & !L2_ATTRIBUTES);
    let l2_attributes = args.rdx & L2_ATTRIBUTES != 0;
    (args.rcx, args.rdx) = (0, 0);

    let td = Td::open(cx, Leaf::MemSeptRd, Operand::RDX, tdr, Mode::Shared)?;
    if l2_attributes && !td.is_debug() {
        return Err(Status::OPERAND_INVALID.with(Operand::RDX));
    }
    let levels = Levels::to_root(Level::K4);
    let target = Target::find(cx, args, td, word, levels, Mode::Shared)?;

    sept::report(args, target.entry(), target.level())?;
    if l2_attributes {
        // No TD of the model has entries for L2 VMs.
        args.r8 = 0;
    }
    Ok(())
}
