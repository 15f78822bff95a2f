// SPDX-License-Identifier: GPL-2.0

//! MSRs in a TD: those that are the guest's own, those that the module answers for, and those that
//! the guest has to ask its host for. TDX ABI: "MSR Virtualization".

use super::{
    super::{
        metadata::vmcs::fields as vmcs,
        platform::Platform,
        tdcs::{
            self,
            Tdcs, //
        },
        tdvps::{
            fields,
            Tdvps, //
        },
        vmx::XSS,
        vp::vcpu::Vcpu, //
    },
    event,
    exits::Next,
    state::{
        has_cet,
        XSS_MASK, //
    }, //
};
use core::ops::RangeInclusive;

/// What an access to an MSR does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// The CPU does it, on state that is the vCPU's own.
    Native,
    /// The module does it.
    Module,
    /// As `Native` in a TD with CET, as `Gp` in others.
    Cet,
    /// #GP(0): a TD does not have the MSR.
    Gp,
    /// #VE: the guest may ask its host.
    Ve,
}
use Access::{
    Cet,
    Gp,
    Module,
    Native,
    Ve, //
};

struct Rule {
    msrs: RangeInclusive<u32>,
    read: Access,
    write: Access,
}

const fn rule(first: u32, last: u32, read: Access, write: Access) -> Rule {
    Rule {
        msrs: first..=last,
        read,
        write,
    }
}

const SPEC_CTRL: u32 = 0x48;
const ARCH_CAPABILITIES: u32 = 0x10A;

/// The rules; what has none is the host's affair.
///
/// x2APIC registers that the CPU virtualises are the guest's own. IA32_EFER can be read only: a TD
/// begins with all that it may have enabled in it. Of performance monitoring, protection keys for
/// supervisor pages and processor trace a TD has nothing here.
#[rustfmt::skip]
static RULES: [Rule; 33] = [
    // IA32_TIME_STAMP_COUNTER
    rule(0x10, 0x10, Native, Ve),
    rule(SPEC_CTRL, SPEC_CTRL, Module, Module),
    // IA32_PRED_CMD
    rule(0x49, 0x49, Gp, Module),
    // IA32_SGXLEPUBKEYHASH
    rule(0x8C, 0x8F, Gp, Gp),
    // IA32_PMC, IA32_UMWAIT_CONTROL
    rule(0xC1, 0xC8, Gp, Gp),
    rule(0xE1, 0xE1, Gp, Gp),
    rule(ARCH_CAPABILITIES, ARCH_CAPABILITIES, Module, Gp),
    // IA32_FLUSH_CMD, IA32_TSX_CTRL
    rule(0x10B, 0x10B, Gp, Module),
    rule(0x122, 0x122, Gp, Gp),
    // IA32_SYSENTER_CS, ESP and EIP
    rule(0x174, 0x176, Native, Native),
    // IA32_PERFEVTSEL, MSR_OFFCORE_RSP, IA32_XFD and IA32_XFD_ERR
    rule(0x186, 0x18D, Gp, Gp),
    rule(0x1A6, 0x1A7, Gp, Gp),
    rule(0x1C4, 0x1C5, Gp, Gp),
    // IA32_PAT
    rule(0x277, 0x277, Native, Native),
    // Fixed counters and their control, PEBS
    rule(0x309, 0x30F, Gp, Gp),
    rule(0x38D, 0x390, Gp, Gp),
    rule(0x3F1, 0x3F7, Gp, Gp),
    // VMX capabilities
    rule(0x480, 0x493, Gp, Gp),
    rule(0x4C1, 0x4C8, Gp, Gp),
    // IA32_RTIT_*, IA32_DS_AREA, CET: IA32_U_CET to IA32_INTERRUPT_SSP_TABLE_ADDR, IA32_PKRS
    rule(0x560, 0x571, Gp, Gp),
    rule(0x600, 0x600, Gp, Gp),
    rule(0x6A0, 0x6A8, Cet, Cet),
    rule(0x6E1, 0x6E1, Gp, Gp),
    // x2APIC: TPR; PPR; EOI; ISR, TMR and IRR; self IPI
    rule(0x808, 0x808, Native, Native),
    rule(0x80A, 0x80A, Native, Ve),
    rule(0x80B, 0x80B, Ve, Native),
    rule(0x810, 0x827, Native, Ve),
    rule(0x83F, 0x83F, Ve, Native),
    rule(XSS, XSS, Module, Module),
    // IA32_EFER
    rule(0xC000_0080, 0xC000_0080, Native, Ve),
    // IA32_STAR, LSTAR and FMASK; IA32_CSTAR is for compatibility mode, where there is no SYSCALL
    rule(0xC000_0081, 0xC000_0082, Native, Native),
    rule(0xC000_0084, 0xC000_0084, Native, Native),
    // IA32_FS_BASE, IA32_GS_BASE, IA32_KERNEL_GS_BASE, IA32_TSC_AUX
    rule(0xC000_0100, 0xC000_0103, Native, Native),
];

fn rule_of(msr: u32) -> &'static Rule {
    static OTHERS: Rule = rule(0, 0, Ve, Ve);
    RULES
        .iter()
        .find(|rule| rule.msrs.contains(&msr))
        .unwrap_or(&OTHERS)
}

/// Bits of a VMX MSR bitmap for one range of MSRs and one way of access.
const BITMAP_BITS: u32 = 0x2000;
/// Where the bits for writes begin.
const WRITES: u32 = 2 * BITMAP_BITS;

/// The bit of an MSR in a VMX MSR bitmap, for reads. Intel SDM, volume 3, "MSR-Bitmap Address".
fn bit(msr: u32) -> u32 {
    const HIGH: u32 = 0xC000_0000;
    match msr.checked_sub(HIGH) {
        Some(high) => BITMAP_BITS + high % BITMAP_BITS,
        None => msr % BITMAP_BITS,
    }
}

/// Fills in the MSR bitmaps of a TD: all accesses exit but those that are the guest's own.
pub fn init_bitmaps<P: Platform>(p: &P, tdcs: &Tdcs<'_, P>) {
    let bitmaps = tdcs::fields::MSR_BITMAPS;
    let page = tdcs.page(bitmaps.offset >> 12);
    p.fill_page(page, u64::MAX);
    let clear = |bit: u32| {
        let word = bitmaps.element(bit / u64::BITS);
        tdcs.set(word, tdcs.get(word) & !1u64.wrapping_shl(bit % u64::BITS));
    };
    let is_native = |access| access == Native || access == Cet && has_cet(tdcs);
    for rule in &RULES {
        for msr in rule.msrs.clone() {
            if is_native(rule.read) {
                clear(bit(msr));
            }
            if is_native(rule.write) {
                clear(WRITES + bit(msr));
            }
        }
    }
}

fn done<P: Platform>(tdvps: &Tdvps<'_, P>) -> Next {
    event::skip(tdvps, tdvps.get(vmcs::VM_EXIT_INSTRUCTION_LENGTH));
    Next::Resume
}

/// RDMSR.
pub fn read<P: Platform>(vcpu: &Vcpu<'_, P>) -> Next {
    let tdvps = &vcpu.tdvps;
    let msr = tdvps.get(fields::RCX) as u32;
    match rule_of(msr).read {
        Ve => event::ve(tdvps, 0).into(),
        Native | Cet | Gp => event::gp(tdvps).into(),
        Module => {
            let value = match msr {
                SPEC_CTRL => tdvps.get(fields::IA32_SPEC_CTRL),
                XSS => tdvps.get(fields::IA32_XSS),
                // The only one left is IA32_ARCH_CAPABILITIES, the last of the virtual MSRs.
                _ => vcpu.td.tdcs.get(tdcs::fields::VIRTUAL_MSRS.element(15)),
            };
            tdvps.set(fields::RAX, value & u64::from(u32::MAX));
            tdvps.set(fields::RDX, value >> 32);
            done(tdvps)
        }
    }
}

/// WRMSR.
pub fn write<P: Platform>(vcpu: &Vcpu<'_, P>) -> Next {
    /// IA32_SPEC_CTRL bits that a TD may set: IBRS, STIBP and SSBD.
    const SPEC_CTRL_BITS: u64 = 7;

    let tdvps = &vcpu.tdvps;
    let msr = tdvps.get(fields::RCX) as u32;
    let low = tdvps.get(fields::RAX) & u64::from(u32::MAX);
    let value = low | tdvps.get(fields::RDX) << 32;
    match rule_of(msr).write {
        Ve => event::ve(tdvps, 0).into(),
        Native | Cet | Gp => event::gp(tdvps).into(),
        Module => {
            let (allowed, place) = match msr {
                SPEC_CTRL => (SPEC_CTRL_BITS, Some(fields::IA32_SPEC_CTRL)),
                XSS => (
                    vcpu.td.tdcs.get(tdcs::fields::XFAM) & XSS_MASK,
                    Some(fields::IA32_XSS),
                ),
                // IA32_PRED_CMD and IA32_FLUSH_CMD: there is nothing to predict or to flush.
                _ => (1, None),
            };
            if value & !allowed != 0 {
                return event::gp(tdvps).into();
            }
            if let Some(field) = place {
                tdvps.set(field, value);
            }
            done(tdvps)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_msr_has_two_rules() {
        for msr in RULES.iter().flat_map(|rule| rule.msrs.clone()) {
            assert_eq!(
                RULES.iter().filter(|rule| rule.msrs.contains(&msr)).count(),
                1,
                "{msr:#x}"
            );
        }
    }

    #[test]
    fn bits_of_the_bitmap() {
        assert_eq!(bit(0x10), 0x10);
        assert_eq!(bit(0xC000_0081), 0x2081);
        assert_eq!(WRITES + bit(0xC000_0081), 0x6081);
    }
}
