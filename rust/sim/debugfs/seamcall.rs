// SPDX-License-Identifier: GPL-2.0

//! A SEAMCALL by hand: what the kernel leaked when a fault was injected can be taken back from the TDX module.

use super::super::{
    inject::{
        self,
        rule, //
    },
    model::Regs,
    trap, //
};
use crate::abi::Args;
use kernel::{
    prelude::*,
    uaccess::UserSliceReader, //
};

const REGISTERS: [&str; 14] = [
    "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rbx", "rdi", "rsi",
];

/// Takes registers, `rax=` among them.
pub(super) fn write(reader: &mut UserSliceReader) -> Result {
    let registers = inject::parse(reader, |text| rule::numbers(text, &REGISTERS))?;
    let [Some(rax), rest @ ..] = registers else {
        pr_warn!("seamcall: rax= is missing\n");
        return Err(EINVAL);
    };
    let [rcx, rdx, r8, r9, r10, r11, r12, r13, r14, r15, rbx, rdi, rsi] =
        rest.map(|register| register.unwrap_or(0));
    let args = Args {
        rcx,
        rdx,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rbx,
        rdi,
        rsi,
    };
    trap::by_user(Regs {
        rax,
        args,
        ..Regs::default()
    })
}
