// SPDX-License-Identifier: GPL-2.0

//! The registers that a SEAMCALL takes and returns, other than RAX.

/// Register operands of a SEAMCALL.
///
/// The layout is that of the kernel's `struct tdx_module_args`
/// (arch/x86/include/asm/shared/tdx.h), so that a pointer to one is a pointer to the other.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Args {
    /// RCX.
    pub rcx: u64,
    /// RDX.
    pub rdx: u64,
    /// R8.
    pub r8: u64,
    /// R9.
    pub r9: u64,
    /// R10.
    pub r10: u64,
    /// R11.
    pub r11: u64,
    /// R12.
    pub r12: u64,
    /// R13.
    pub r13: u64,
    /// R14.
    pub r14: u64,
    /// R15.
    pub r15: u64,
    /// RBX.
    pub rbx: u64,
    /// RDI.
    pub rdi: u64,
    /// RSI.
    pub rsi: u64,
}

/// The registers that take and return operands. The others are for TDH.VP.ENTER.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Operands {
    /// RCX.
    pub rcx: u64,
    /// RDX.
    pub rdx: u64,
    /// R8.
    pub r8: u64,
    /// R9.
    pub r9: u64,
    /// R10.
    pub r10: u64,
    /// R11.
    pub r11: u64,
}

impl Operands {
    /// The registers in their order.
    #[inline]
    pub const fn to_array(self) -> [u64; 6] {
        [self.rcx, self.rdx, self.r8, self.r9, self.r10, self.r11]
    }
}

impl From<[u64; 6]> for Operands {
    #[inline]
    fn from([rcx, rdx, r8, r9, r10, r11]: [u64; 6]) -> Self {
        Self {
            rcx,
            rdx,
            r8,
            r9,
            r10,
            r11,
        }
    }
}

impl Args {
    /// Picks the registers that take and return operands.
    #[inline]
    pub const fn operands(&self) -> Operands {
        Operands {
            rcx: self.rcx,
            rdx: self.rdx,
            r8: self.r8,
            r9: self.r9,
            r10: self.r10,
            r11: self.r11,
        }
    }
}

impl From<Operands> for Args {
    #[inline]
    fn from(operands: Operands) -> Self {
        let Operands {
            rcx,
            rdx,
            r8,
            r9,
            r10,
            r11,
        } = operands;
        Self {
            rcx,
            rdx,
            r8,
            r9,
            r10,
            r11,
            ..Self::default()
        }
    }
}
