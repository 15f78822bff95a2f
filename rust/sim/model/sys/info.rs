// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.INFO.

use crate::{
    abi::{
        Args,
        Level,
        Operand,
        Status, //
    },
    sim::model::{
        field::Field,
        metadata::cpuid::CONFIGS,
        platform::{
            Platform,
            MAX_CMRS, //
        },
        profile,
        Completion,
        Ctx, //
    }, //
};

/// Size of TDSYSINFO.
const SIZE: u64 = 1024;

/// Size of the table of CMRs.
const CMRS_SIZE: u64 = MAX_CMRS as u64 * 16;

/// Where the CPUID_CONFIG entries begin in TDSYSINFO: leaf, sub-leaf and four registers each.
const CPUID_CONFIG: u32 = 132;

/// Describes the module and the convertible memory to the host.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let (info_size, nr_cmrs) = (args.rdx, args.r9);
    (args.rdx, args.r9) = (0, 0);

    if !cx.module.is_lp_initialized(cx.p.lp().index) {
        return Err(Status::SYS_LP_INIT_NOT_DONE);
    }
    let info = cx.check_shared_hpa(Operand::RCX, args.rcx, SIZE)?;
    if info_size < SIZE {
        return Err(Status::OPERAND_INVALID.with(Operand::RDX));
    }
    let cmrs = cx.check_shared_hpa(Operand::R8, args.r8, CMRS_SIZE)?;
    if nr_cmrs < MAX_CMRS as u64 {
        return Err(Status::OPERAND_INVALID.with(Operand::R9));
    }

    let config = cx.p.config();
    let module = &config.module;
    for offset in (0..SIZE).step_by(8) {
        cx.p.store(info + offset, 0);
    }
    let fields = [
        // Vendor, minor and major version; SYS.RD is there.
        (Field::new(4, 32), 0x8086),
        (Field::new(14, 16), module.version.minor.into()),
        (Field::new(16, 16), module.version.major.into()),
        (Field::new(18, 8), 1),
        (Field::new(32, 16), module.max_tdmrs.into()),
        (Field::new(34, 16), module.max_reserved_per_tdmr.into()),
        (Field::new(36, 16), module.pamt_entry_size(Level::K4)),
        (Field::new(48, 16), u64::from(module.tdcs_pages) * 4096),
        (Field::new(52, 16), u64::from(module.tdvps_pages) * 4096),
        (Field::new(64, 64), module.attributes_fixed0()),
        (Field::new(80, 64), cx.xfam_fixed0()),
        (Field::new(88, 64), profile::XFAM_FIXED1),
        (Field::new(128, 32), CONFIGS.len() as u64),
    ];
    for (field, value) in fields {
        field.store(cx.p, info, value);
    }
    for (i, leaf) in (0..).zip(&CONFIGS) {
        let entry = Field::new(CPUID_CONFIG + i * 24, 32);
        entry.store(cx.p, info, u64::from(leaf.leaf));
        entry.element(1).store(cx.p, info, u64::from(leaf.subleaf));
        let native = cx.cpuid(leaf.leaf, leaf.subleaf);
        for (r, ((direct, allow), native)) in
            (2..).zip(leaf.direct.iter().zip(leaf.allow).zip(native))
        {
            entry
                .element(r)
                .store(cx.p, info, u64::from(direct | (allow & native)));
        }
    }
    for (i, cmr) in (0..).zip(&config.cmrs) {
        cx.p.store(cmrs + i * 16, cmr.base);
        cx.p.store(cmrs + i * 16 + 8, cmr.size);
    }
    (args.rdx, args.r9) = (SIZE, MAX_CMRS as u64);
    Ok(())
}
