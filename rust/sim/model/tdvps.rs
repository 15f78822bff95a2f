// SPDX-License-Identifier: GPL-2.0

//! The TDVPS: state of a vCPU, made of a TDVPR page and TDCX pages.

use core::ops::Deref;

use super::{
    field::Field,
    metadata::{
        Access,
        Row, //
    },
    pages::Pages,
    pamt,
    platform::Platform,
    Ctx, //
};
use crate::abi::{
    PageType,
    Status, //
};

macro_rules! fields {
    ($(
        $name:ident = $id:literal, $elements:literal, $offset:literal, $host:expr, $debug:expr
        $(, $guest:expr)?;
    )*) => {
        /// Fields of the TDVPS; offset 0x1000·n is in page n.
        #[allow(missing_docs)]
        pub mod fields {
            use super::{
                bits,
                Field, //
            };

            $(pub const $name: Field = Field::new($offset, bits($id));)*
        }

        /// What the host may do with each field; in the order of class and field code.
        pub const TABLE: &[Row<Field>] = &[
            $(Row::new($id, $elements, fields::$name, $host, $debug)$(.for_guest($guest))?,)*
        ];
    };
}

/// Width of an element, as the identifier says it.
pub const fn bits(id: u64) -> u32 {
    8 << ((id >> 32) & 3)
}

const NONE: Access = Access::NONE;
const READ: Access = Access::READ;
const WRITE: Access = Access::READ_WRITE;
const fn read_and(write: u64) -> Access {
    Access::read_and(write)
}

// Field = identifier, elements, offset, access of the host to a TD, access of the host to a debug
// TD, access of the TD itself if it has any.
//
// TDX ABI: "TD VCPU State Structure (TDVPS)". Where the ABI gives no offset, the place is the
// simulator's choice.
fields! {
    VAPIC = 0x0120_0003_0000_0000, 128, 0x2000, NONE, READ;
    EXIT_REASON = 0x0220_0002_0000_0000, 1, 0x0, NONE, READ;
    VALID = 0x0220_0002_0000_0001, 1, 0x4, NONE, READ;
    EXIT_QUALIFICATION = 0x0220_0003_0000_0002, 1, 0x8, NONE, READ;
    GLA = 0x0220_0003_0000_0003, 1, 0x10, NONE, READ;
    GPA = 0x0220_0003_0000_0004, 1, 0x18, NONE, READ;
    EPTP_INDEX = 0x0220_0001_0000_0005, 1, 0x20, NONE, READ;
    INSTRUCTION_LENGTH = 0x8220_0002_0000_0010, 1, 0x28, NONE, READ;
    INSTRUCTION_INFORMATION = 0x8220_0002_0000_0011, 1, 0x2C, NONE, READ;
    RAX = 0x1020_0003_0000_0000, 1, 0x980, NONE, WRITE;
    RCX = 0x1020_0003_0000_0001, 1, 0x988, NONE, WRITE;
    RDX = 0x1020_0003_0000_0002, 1, 0x990, NONE, WRITE;
    RBX = 0x1020_0003_0000_0003, 1, 0x998, NONE, WRITE;
    RSP_PLACEHOLDER = 0x1020_0003_0000_0004, 1, 0x9A0, NONE, NONE;
    RBP = 0x1020_0003_0000_0005, 1, 0x9A8, NONE, WRITE;
    RSI = 0x1020_0003_0000_0006, 1, 0x9B0, NONE, WRITE;
    RDI = 0x1020_0003_0000_0007, 1, 0x9B8, NONE, WRITE;
    R8 = 0x1020_0003_0000_0008, 1, 0x9C0, NONE, WRITE;
    R9 = 0x1020_0003_0000_0009, 1, 0x9C8, NONE, WRITE;
    R10 = 0x1020_0003_0000_000A, 1, 0x9D0, NONE, WRITE;
    R11 = 0x1020_0003_0000_000B, 1, 0x9D8, NONE, WRITE;
    R12 = 0x1020_0003_0000_000C, 1, 0x9E0, NONE, WRITE;
    R13 = 0x1020_0003_0000_000D, 1, 0x9E8, NONE, WRITE;
    R14 = 0x1020_0003_0000_000E, 1, 0x9F0, NONE, WRITE;
    R15 = 0x1020_0003_0000_000F, 1, 0x9F8, NONE, WRITE;
    DR0 = 0x1120_0003_0000_0000, 1, 0xA00, NONE, WRITE;
    DR1 = 0x1120_0003_0000_0001, 1, 0xA08, NONE, WRITE;
    DR2 = 0x1120_0003_0000_0002, 1, 0xA10, NONE, WRITE;
    DR3 = 0x1120_0003_0000_0003, 1, 0xA18, NONE, WRITE;
    DR6 = 0x1120_0003_0000_0006, 1, 0xA20, NONE, read_and(0x0000_0000_FFFF_FFFF);
    XCR0 = 0x1120_0003_0000_0020, 1, 0xA28, NONE, READ;
    CR2 = 0x1120_0003_0000_0028, 1, 0xA30, NONE, WRITE;
    VCPU_STATE_DETAILS = 0x9120_0003_0000_0100, 1, 0xA78, READ, READ;
    XBUFF = 0x1220_0003_0000_0000, 1536, 0x3000, NONE, WRITE;
    IA32_SPEC_CTRL = 0x1320_0003_0000_0048, 1, 0xA38, NONE, WRITE;
    IA32_UMWAIT_CONTROL = 0x1320_0003_0000_00E1, 1, 0xA40, NONE, WRITE;
    IA32_TSX_CTRL = 0x1320_0003_0000_0122, 1, 0xA48, NONE, WRITE;
    IA32_PERFEVTSEL = 0x1320_0003_0000_0186, 8, 0xA80, NONE, WRITE;
    MSR_OFFCORE_RSP = 0x1320_0003_0000_01A6, 2, 0xAC0, NONE, WRITE;
    IA32_XFD = 0x1320_0003_0000_01C4, 1, 0xAD0, NONE, READ;
    IA32_XFD_ERR = 0x1320_0003_0000_01C5, 1, 0xAD8, NONE, READ;
    IA32_FIXED_CTR = 0x1320_0003_0000_0309, 7, 0xAE0, NONE, WRITE;
    IA32_PERF_METRICS = 0x1320_0003_0000_0329, 1, 0xB18, NONE, WRITE;
    IA32_FIXED_CTR_CTRL = 0x1320_0003_0000_038D, 1, 0xB20, NONE, WRITE;
    IA32_PERF_GLOBAL_STATUS = 0x1320_0003_0000_038E, 1, 0xB28, NONE, READ;
    IA32_PEBS_ENABLE = 0x1320_0003_0000_03F1, 1, 0xB30, NONE, WRITE;
    MSR_PEBS_DATA_CFG = 0x1320_0003_0000_03F2, 1, 0xB38, NONE, WRITE;
    MSR_PEBS_LD_LAT = 0x1320_0003_0000_03F6, 1, 0xB40, NONE, WRITE;
    MSR_PEBS_FRONTEND = 0x1320_0003_0000_03F7, 1, 0xB48, NONE, WRITE;
    IA32_A_PMC = 0x1320_0003_0000_04C1, 8, 0xB50, NONE, WRITE;
    IA32_DS_AREA = 0x1320_0003_0000_0600, 1, 0xB90, NONE, WRITE;
    IA32_XSS = 0x1320_0003_0000_0DA0, 1, 0xB98, NONE, READ;
    IA32_LBR_DEPTH = 0x1320_0003_0000_14CF, 1, 0xBA0, NONE, WRITE;
    IA32_UARCH_MISC_CTL = 0x1320_0003_0000_1B01, 1, 0xBA8, NONE, WRITE;
    IA32_STAR = 0x1320_0003_0000_2081, 1, 0xBB0, NONE, READ;
    IA32_LSTAR = 0x1320_0003_0000_2082, 1, 0xBB8, NONE, READ;
    IA32_FMASK = 0x1320_0003_0000_2084, 1, 0xBC0, NONE, READ;
    IA32_KERNEL_GS_BASE = 0x1320_0003_0000_2102, 1, 0xBC8, NONE, READ;
    IA32_TSC_AUX = 0x1320_0003_0000_2103, 1, 0xBD0, NONE, WRITE;
    VCPU_STATE = 0xA020_0000_0000_0000, 1, 0x100, NONE, READ;
    VCPU_INDEX = 0xA020_0002_0000_0002, 1, 0x102, READ, READ, READ;
    NUM_TDVPS_PAGES = 0xA020_0000_0000_0003, 1, 0x107, READ, READ;
    ASSOC_LPID = 0xA020_0002_0000_0004, 1, 0x1C8, READ, READ;
    VCPU_EPOCH = 0xA020_0003_0000_0006, 1, 0x1D0, READ, READ;
    CPUID_SUPERVISOR_VE = 0xA020_0000_0000_0007, 1, 0x1D8, READ, READ, WRITE;
    CPUID_USER_VE = 0xA020_0000_0000_0008, 1, 0x1D9, READ, READ, WRITE;
    LAST_EXIT_TSC = 0xA020_0003_0000_000A, 1, 0x1E0, NONE, READ;
    PEND_NMI = 0x2020_0000_0000_000B, 1, 0x1E8, WRITE, WRITE;
    XFAM = 0x2020_0003_0000_000C, 1, 0x1F0, READ, WRITE;
    LAST_EPF_GPA_LIST_IDX = 0xA020_0000_0000_000D, 1, 0x1E9, NONE, READ;
    POSSIBLY_EPF_STEPPING = 0xA020_0000_0000_000E, 1, 0x1EA, NONE, READ;
    LAST_TD_EXIT = 0xA020_0000_0000_000F, 1, 0x101, NONE, READ;
    TDVPS_PAGE_PA = 0xA020_0003_0000_0010, 15, 0x108, READ, READ;
    HP_LOCK_BUSY_START = 0xA020_0003_0000_0030, 1, 0x200, NONE, READ;
    HP_LOCK_BUSY = 0xA020_0000_0000_0031, 1, 0x1FD, NONE, READ;
    LAST_SEAMDB_INDEX = 0xA020_0003_0000_0032, 1, 0x208, NONE, READ;
    NMI_UNBLOCKING_DUE_TO_IRET = 0xA020_0000_0000_0040, 1, 0x1F8, NONE, READ;
    CURR_VM = 0xA020_0001_0000_0041, 1, 0x1FA, NONE, READ;
    L2_EXIT_HOST_ROUTING = 0xA020_0000_0000_0042, 1, 0x1FC, NONE, READ;
    VM_LAUNCHED = 0xA020_0000_0000_0044, 4, 0x210, NONE, READ;
    LP_DEPENDENT_HPA_UPDATED = 0xA020_0000_0000_0048, 4, 0x214, NONE, READ;
    MODULE_DEPENDENT_FIELDS_UPDATED = 0xA020_0000_0000_004C, 4, 0x218, NONE, READ;
    L2_CTLS = 0xA020_0003_0000_0050, 4, 0x228, NONE, read_and(0x7), read_and(0x7);
    L2_DEBUG_CTLS = 0xA020_0003_0000_0054, 4, 0x248, NONE, read_and(0x7);
    TSC_DEADLINE = 0xA020_0003_0000_0058, 4, 0x268, NONE, READ, WRITE;
    SHADOW_TSC_DEADLINE = 0xA020_0003_0000_005C, 4, 0x288, NONE, READ;
    BASE_L2_CR0_GUEST_HOST_MASK = 0xA020_0003_0000_0080, 1, 0x2A8,
        NONE, read_and(0xFFFF_FFFF_9FFF_FFDF);
    BASE_L2_CR0_READ_SHADOW = 0xA020_0003_0000_0081, 1, 0x2B0,
        NONE, read_and(0xFFFF_FFFF_9FFF_FFDF);
    BASE_L2_CR4_GUEST_HOST_MASK = 0xA020_0003_0000_0082, 1, 0x2B8,
        NONE, read_and(0xFFFF_FFFF_FFFF_9FBF);
    BASE_L2_CR4_READ_SHADOW = 0xA020_0003_0000_0083, 1, 0x2C0,
        NONE, read_and(0xFFFF_FFFF_9FFF_FFDF);
    SHADOW_CR0_GUEST_HOST_MASK = 0xA020_0003_0000_0084, 4, 0x2C8, NONE, READ;
    SHADOW_CR0_READ_SHADOW = 0xA020_0003_0000_0088, 4, 0x2E8, NONE, READ;
    SHADOW_CR4_GUEST_HOST_MASK = 0xA020_0003_0000_008C, 4, 0x308, NONE, READ;
    SHADOW_CR4_READ_SHADOW = 0xA020_0003_0000_0090, 4, 0x328, NONE, READ;
    SHADOW_INSTRUCTION_TIMEOUT_CONTROL = 0xA020_0002_0000_0094, 4, 0x348, NONE, READ;
    SHADOW_PID_HPA = 0xA020_0003_0000_0098, 4, 0x358, NONE, READ;
    SHADOW_PINBASED_EXEC_CTLS = 0xA020_0002_0000_009C, 4, 0x378, NONE, READ;
    SHADOW_PLE_GAP = 0xA020_0002_0000_00A4, 4, 0x388, NONE, READ;
    SHADOW_PLE_WINDOW = 0xA020_0002_0000_00A8, 4, 0x398, NONE, READ;
    SHADOW_POSTED_INT_NOTIFICATION_VECTOR = 0xA020_0001_0000_00AC, 4, 0x3A8, NONE, READ;
    SHADOW_PROCBASED_EXEC_CTLS2 = 0xA020_0002_0000_00B0, 4, 0x3B0, NONE, READ;
    SHADOW_SHARED_EPTP = 0xA020_0003_0000_00B4, 4, 0x3C0, NONE, READ;
    L2_ENTER_GUEST_STATE_GPA = 0xA020_0003_0000_0100, 4, 0x3E0, NONE, READ;
    L2_ENTER_GUEST_STATE_HPA = 0xA020_0003_0000_0104, 4, 0x400, NONE, READ;
    VE_INFO_GPA = 0xA020_0003_0000_0108, 4, 0x420, NONE, READ;
    VE_INFO_HPA = 0xA020_0003_0000_010C, 4, 0x440, NONE, READ;
    L2_VAPIC_GPA = 0xA020_0003_0000_0110, 4, 0x460, NONE, READ;
    L2_VAPIC_HPA = 0xA020_0003_0000_0114, 4, 0x480, NONE, READ;
    CPUID_CONTROL = 0xA120_0000_0000_0000, 128, 0x900, NONE, READ, read_and(0x3);
    LAST_EPF_GPA_LIST = 0xA220_0003_0000_0200, 32, 0x4A0, NONE, READ;
    L2_VMCS_1 = 0x2420_0000_0000_0000, 4096, 0x6000, NONE, NONE;
    L2_MSR_BITMAPS_1 = 0x2520_0003_0000_0000, 512, 0x7000, NONE, WRITE, WRITE;
    L2_SHADOW_MSR_BITMAPS_1 = 0xA620_0003_0000_0000, 512, 0x8000, NONE, READ;
    L2_VMCS_2 = 0x2C20_0000_0000_0000, 4096, 0x9000, NONE, NONE;
    L2_MSR_BITMAPS_2 = 0x2D20_0003_0000_0000, 512, 0xA000, NONE, WRITE, WRITE;
    L2_SHADOW_MSR_BITMAPS_2 = 0xAE20_0003_0000_0000, 512, 0xB000, NONE, READ;
    L2_VMCS_3 = 0x3420_0000_0000_0000, 4096, 0xC000, NONE, NONE;
    L2_MSR_BITMAPS_3 = 0x3520_0003_0000_0000, 512, 0xD000, NONE, WRITE, WRITE;
    L2_SHADOW_MSR_BITMAPS_3 = 0xB620_0003_0000_0000, 512, 0xE000, NONE, READ;
}

/// Where the model keeps the x2APIC ID that TDH.VP.INIT was given; no field of the ABI lies there.
pub const X2APIC_ID: Field = Field::new(0xC00, 32);

/// Where the model keeps the RIP of the last VM exit.
pub const LAST_EPF_RIP: Field = Field::new(0xC08, 64);

/// TDVPS pages that every vCPU has, the TDVPR among them.
pub const BASE_PAGES: u64 = 6;

/// TDVPS pages more for each L2 VM.
pub const PAGES_PER_L2_VM: u64 = 3;

/// Most TDVPS pages that a vCPU can have.
pub const MAX_PAGES: u64 = 15;

/// Offset of the TD VMCS page.
pub const VMCS: u32 = 0x1000;

/// ASSOC_LPID of a vCPU that no logical processor has state of.
pub const NO_LP: u64 = fields::ASSOC_LPID.mask();

/// The TDVPS of the vCPU whose TDVPR is at `tdvpr`.
pub struct Tdvps<'a, P>(Pages<'a, P>);

impl<'a, P> Deref for Tdvps<'a, P> {
    type Target = Pages<'a, P>;

    #[inline]
    fn deref(&self) -> &Pages<'a, P> {
        &self.0
    }
}

impl<'a, P: Platform> Tdvps<'a, P> {
    /// The vCPU whose TDVPR is at `tdvpr`. Only the fields in that page can be used before
    /// [`map`](Self::map).
    #[inline]
    pub fn new(p: &'a P, tdvpr: u64) -> Self {
        Self(Pages::new(tdvpr, fields::TDVPS_PAGE_PA.word(p, tdvpr)))
    }

    /// The check that `pages` pages at least were added, and that they are still what they were.
    pub fn map(&self, cx: &Ctx<'a, P>, owner: u64, pages: u64) -> Result<(), Status> {
        if self.get(fields::NUM_TDVPS_PAGES) < pages {
            return Err(Status::TDCX_NUM_INCORRECT);
        }
        // The addresses of a real vCPU cannot be damaged; here the host may have, and then the TD
        // is lost.
        let sound = (1..pages as u32)
            .all(|page| pamt::is_owned(cx, self.page(page), PageType::Tdcx, owner));
        if sound {
            Ok(())
        } else {
            Err(Status::TD_FATAL)
        }
    }

    /// Records the next page, which is at `pa`, with the KeyID of the TD.
    pub fn add_page(&self, pa: u64, hkid: u64) {
        let pages = self.get(fields::NUM_TDVPS_PAGES);
        let keyed = self.platform().config().with_keyid(pa, hkid);
        self.set(fields::TDVPS_PAGE_PA.element(pages as u32), keyed);
        self.set(fields::NUM_TDVPS_PAGES, pages.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_side_by_side() {
        let mut ranges: Vec<_> = TABLE
            .iter()
            .map(|row| {
                (
                    row.place.offset,
                    row.place.offset + row.place.bits / 8 * row.elements,
                )
            })
            .collect();
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:x?}");
        }
        for row in TABLE {
            assert!(row.place.shift() + row.place.bits <= 64, "{:x?}", row.id);
        }
    }
}
