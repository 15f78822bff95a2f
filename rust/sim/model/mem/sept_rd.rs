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
    take_flag,
    target::{
        take_operands,
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

/// RCX: GPA and level. RDX: TDR; bit 0: read the attributes of L2 VMs too. Returns the entry in RCX
/// and RDX.
#[inline(never)]
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let l2_attributes = take_flag(args);
    let (word, tdr) = take_operands(args);
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
