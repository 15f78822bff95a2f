// SPDX-License-Identifier: GPL-2.0

//! TD_PARAMS: its checks, and what they make of the TDCS.
//!
//! TDX ABI: "TD_PARAMS". Each word is read once, since the host may change it meanwhile. What is
//! found sound goes to the TDCS at once; nobody looks at it before OP_STATE says that the TD is
//! initialised.

use crate::{
    abi::{
        td_params::{
            offset,
            Attributes,
            ConfigFlags,
            EptpControls,
            SIZE, //
        },
        Operand,
        Status, //
    },
    sim::model::{
        metadata::cpuid::{
            self,
            Config,
            Registers,
            CONFIGS,
            NO_SUBLEAF,
            VALUES, //
        },
        platform::Platform,
        profile,
        run::state::CET,
        td::Td,
        tdcs::{
            fields,
            Tdcs, //
        },
        tdr,
        Completion,
        Ctx, //
    }, //
};
use core::num::NonZeroU64;

/// Bytes that each CPUID_CONFIG entry takes.
const CPUID_VALUE_SIZE: usize = 16;

/// Bit of CPUID.7.0:EBX for HLE, and for RTM.
const TSX: [u32; 2] = [1 << 4, 1 << 11];

/// Narrowest physical address that 5-level EPT makes sense with.
const MIN_PA_WIDTH_EPT5: u32 = 49;

/// TD_PARAMS in memory of the host.
pub struct TdParams<'a, P> {
    cx: &'a Ctx<'a, P>,
    pa: u64,
}

fn invalid(operand: Operand) -> Status {
    Status::OPERAND_INVALID.with(operand)
}

fn check(condition: bool, operand: Operand) -> Completion {
    if condition {
        Ok(())
    } else {
        Err(invalid(operand))
    }
}

impl<'a, P: Platform> TdParams<'a, P> {
    /// TD_PARAMS at `pa`, an address of the host's memory without KeyID.
    pub fn new(cx: &'a Ctx<'a, P>, pa: u64) -> Self {
        Self { cx, pa }
    }

    fn word(&self, offset: usize) -> u64 {
        self.cx.p.load(self.pa.wrapping_add(offset as u64))
    }

    fn is_zero(&self, from: usize, to: usize) -> bool {
        (from..to).step_by(8).all(|offset| self.word(offset) == 0)
    }

    /// Checks TD_PARAMS and fills in the TDCS. If the fault is in a CPUID value, `cpuid` tells
    /// which.
    pub fn apply(&self, td: &Td<'_, P>, cpuid: &mut u64) -> Completion {
        let module = &self.cx.p.config().module;
        let tdcs = &td.tdcs;

        let attributes = Attributes::from_raw(self.word(offset::ATTRIBUTES));
        check_attributes(attributes, module.attributes_fixed0())?;
        tdcs.set(fields::ATTRIBUTES, attributes.into_raw());

        let xfam = self.word(offset::XFAM);
        check(is_xfam_sound(xfam, self.cx.xfam_fixed0()), Operand::XFAM)?;
        tdcs.set(fields::XFAM, xfam);

        // MAX_VCPUS, NUM_L2_VMS, MSR_CONFIG_CTLS and four reserved bytes.
        let word = self.word(offset::MAX_VCPUS);
        let (max_vcpus, l2_vms, msr_config, reserved) = (
            word & 0xFFFF,
            (word >> 16) & 0xFF,
            (word >> 24) & 0xFF,
            word >> 32,
        );
        check(max_vcpus != 0, Operand::MAX_VCPUS)?;
        tdcs.set(fields::MAX_VCPUS, max_vcpus);
        check(l2_vms <= module.max_l2_vms(), Operand::NUM_L2_VMS)?;
        if td.tdr.get(tdr::fields::NUM_TDCX) < u64::from(module.tdcs_pages) + l2_vms {
            return Err(Status::TDCS_NOT_ALLOCATED);
        }
        tdcs.set(fields::NUM_L2_VMS, l2_vms);
        check(reserved == 0, Operand::RDX)?;

        let flags = ConfigFlags::from_raw(self.word(offset::CONFIG_FLAGS));
        check(
            flags.into_raw() & !module.config_flags_fixed0() == 0,
            Operand::EXEC_CONTROLS,
        )?;
        let gpaw = flags.into_raw() & ConfigFlags::GPAW_MASK != 0;
        tdcs.set(fields::CONFIG_FLAGS, flags.into_raw());
        tdcs.set(fields::GPAW, u64::from(gpaw));

        let eptp = self.word(offset::EPTP_CONTROLS);
        check(self.is_eptp_sound(eptp, gpaw), Operand::EPTP_CONTROLS)?;
        let root = fields::SEPT_ROOT.offset / 4096;
        tdcs.set(fields::EPTP, tdcs.page(root) | eptp);

        // TSC_FREQUENCY and reserved bytes up to MRCONFIGID.
        let word = self.word(offset::TSC_FREQUENCY);
        let frequency = word & 0xFFFF;
        check((4..=400).contains(&frequency), Operand::TSC_FREQUENCY)?;
        self.set_tsc(tdcs, frequency);
        check(
            word >> 16 == 0 && self.is_zero(offset::TSC_FREQUENCY + 8, offset::MRCONFIGID),
            Operand::RDX,
        )?;

        check(msr_config & !1 == 0, Operand::RDX)?;
        let arch_capabilities = self.word(offset::IA32_ARCH_CAPABILITIES_CONFIG);
        check(
            self.is_zero(
                offset::IA32_ARCH_CAPABILITIES_CONFIG + 8,
                offset::CPUID_VALUES,
            ),
            Operand::RDX,
        )?;
        self.set_cpuid(tdcs, cpuid)?;
        check(
            self.is_zero(
                offset::CPUID_VALUES + CONFIGS.len() * CPUID_VALUE_SIZE,
                SIZE,
            ),
            Operand::RDX,
        )?;
        let allowed = if msr_config == 0 {
            0
        } else {
            module.arch_capabilities_config()
        };
        check(
            arch_capabilities & !allowed == 0,
            Operand::IA32_ARCH_CAPABILITIES_CONFIG,
        )?;
        let migratable = attributes.into_raw() & Attributes::MIGRATABLE_MASK != 0;
        check(!(migratable && l2_vms > 0), Operand::RDX)?;

        for (from, to) in [
            (offset::MRCONFIGID, fields::MRCONFIGID),
            (offset::MROWNER, fields::MROWNER),
            (offset::MROWNERCONFIG, fields::MROWNERCONFIG),
        ] {
            for i in 0..6u32 {
                tdcs.set(to.element(i), self.word(from.wrapping_add(i as usize * 8)));
            }
        }
        self.set_xsave_layout(tdcs, xfam);
        Ok(())
    }

    fn is_eptp_sound(&self, eptp: u64, gpaw: bool) -> bool {
        const KNOWN: u64 = EptpControls::MT_MASK | EptpControls::WALK_LENGTH_MASK;
        let config = self.cx.p.config();
        let pa_width = u32::from(config.keyid_shift) + u32::from(config.keyid_bits);
        let levels = (eptp & EptpControls::WALK_LENGTH_MASK) >> EptpControls::WALK_LENGTH_SHIFT;
        let walk = match levels {
            3 => !gpaw,
            4 => config.ept5 && pa_width >= MIN_PA_WIDTH_EPT5,
            _ => false,
        };
        walk && eptp & !KNOWN == 0 && eptp & EptpControls::MT_MASK == EptpControls::MT_WB
    }

    /// Sets the guest's TSC: it runs at `frequency` units of 25 MHz and starts near 0.
    fn set_tsc(&self, tdcs: &Tdcs<'_, P>, frequency: u64) {
        let native = NonZeroU64::new(self.cx.p.config().tsc_hz).unwrap_or(NonZeroU64::MIN);
        let hz = frequency.wrapping_mul(25_000_000);
        // The fraction has 48 bits, more than fit above `hz` in a word: three digits of 16 bits.
        let (mut multiplier, mut rest) = (hz / native, hz % native);
        for _ in 0..3 {
            rest <<= 16;
            multiplier = (multiplier << 16) | (rest / native);
            rest %= native;
        }
        let now = (u128::from(self.cx.p.tsc()) * u128::from(multiplier)) >> 48;
        tdcs.set(fields::TSC_FREQUENCY, frequency);
        tdcs.set(fields::TSC_MULTIPLIER, multiplier);
        tdcs.set(fields::TSC_OFFSET, (now as u64).wrapping_neg());
    }

    /// Reads and checks the host's value of a CPUID leaf.
    fn cpuid_value(&self, index: usize, config: &Config) -> Result<Registers, Status> {
        let at = offset::CPUID_VALUES + index * CPUID_VALUE_SIZE;
        let (low, high) = (self.word(at), self.word(at + 8));
        let value = [
            low as u32,
            (low >> 32) as u32,
            high as u32,
            (high >> 32) as u32,
        ];
        let native = self.cx.cpuid(config.leaf, config.subleaf);
        for (value, (direct, (allow, native))) in value
            .iter()
            .zip(config.direct.iter().zip(config.allow.iter().zip(native)))
        {
            check(
                value & !(direct | allow & native) == 0,
                Operand::CPUID_CONFIG,
            )?;
        }
        if (config.leaf, config.subleaf) == (7, 0) {
            let [hle, rtm] = TSX.map(|bit| value[1] & bit != 0);
            check(hle == rtm, Operand::CPUID_CONFIG)?;
        }
        Ok(value)
    }

    /// Makes the CPUID values that the guest will see.
    fn set_cpuid(&self, tdcs: &Tdcs<'_, P>, fault: &mut u64) -> Completion {
        for (i, value) in (0..VALUES.len() as u32).zip(&VALUES) {
            let native = self.cx.cpuid(value.leaf, value.subleaf);
            let mut seen = value.ones;
            for (seen, (mask, native)) in seen.iter_mut().zip(value.native.iter().zip(native)) {
                *seen |= mask & native;
            }
            let configured = CONFIGS
                .iter()
                .enumerate()
                .find(|(_, c)| (c.leaf, c.subleaf) == (value.leaf, value.subleaf));
            if let Some((index, config)) = configured {
                let chosen = self.cpuid_value(index, config).inspect_err(|_| {
                    *fault = config.id();
                })?;
                let masks = config.direct.iter().zip(config.allow);
                for (seen, (chosen, (direct, allow))) in
                    seen.iter_mut().zip(chosen.iter().zip(masks))
                {
                    *seen = *seen & !(direct | allow) | chosen;
                }
                if config.leaf == 1 && seen[0] == 0 {
                    // Family, model and stepping that were not configured are those of the CPU.
                    seen[0] = native[0];
                }
            }
            for element in 0..2 {
                tdcs.set(
                    fields::CPUID_VALUES.element(i * 2 + element),
                    cpuid::pair(&seen, element),
                );
            }
            tdcs.set(fields::CPUID_VALID.element(i), 1);
        }
        tdcs.set(fields::NUM_CPUID_VALUES, VALUES.len() as u64);
        Ok(())
    }

    /// Lays out the XSAVE area for the features of the TD, in the compacted format.
    fn set_xsave_layout(&self, tdcs: &Tdcs<'_, P>, xfam: u64) {
        /// Legacy region and header.
        const START: u32 = 576;
        let mut next = START;
        for component in (2..cpuid::XSAVE_COMPONENTS)
            .filter(|component| xfam & 1u64.wrapping_shl(*component) != 0)
        {
            let [size, _, flags, _] = self.cx.cpuid(cpuid::XSAVE, component);
            if flags & 2 != 0 {
                next = next.saturating_add(63) & !63;
            }
            tdcs.set(fields::XBUFF_OFFSETS.element(component), u64::from(next));
            next = next.saturating_add(size & 0xFFFF);
        }
        tdcs.set(fields::XBUFF_SIZE, u64::from(next));
    }
}

fn check_attributes(attributes: Attributes, fixed0: u64) -> Completion {
    let raw = attributes.into_raw();
    let migratable = raw & Attributes::MIGRATABLE_MASK != 0;
    let excluded = raw & (Attributes::DEBUG_MASK | Attributes::PERFMON_MASK) != 0;
    check(
        raw & !fixed0 == 0 && !(migratable && excluded),
        Operand::ATTRIBUTES,
    )
}

/// Whether a set of extended features is one that a TD can have.
fn is_xfam_sound(xfam: u64, fixed0: u64) -> bool {
    const AVX: u64 = 1 << 2;
    const AVX512: u64 = 7 << 5;
    const AMX: u64 = 3 << 17;
    let all_or_none = |mask: u64| xfam & mask == 0 || xfam & mask == mask;
    xfam & !fixed0 == 0
        && xfam & profile::XFAM_FIXED1 == profile::XFAM_FIXED1
        && [AVX512, CET, AMX].into_iter().all(all_or_none)
        && (xfam & AVX512 == 0 || xfam & AVX != 0)
}

impl<P: Platform> Ctx<'_, P> {
    /// A CPUID leaf as this processor has it.
    pub fn cpuid(&self, leaf: u32, subleaf: u32) -> Registers {
        let subleaf = if subleaf == NO_SUBLEAF { 0 } else { subleaf };
        self.p.cpuid(leaf, subleaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::model::{
        platform::Profile,
        profile::Shape, //
    };

    #[test]
    fn xfam() {
        let fixed0 = 0x6_DBE7;
        for xfam in [3, 7, 0x203, 0xE7, 0x1803, 0x6_0003, 0x8003] {
            assert!(is_xfam_sound(xfam, fixed0), "{xfam:#x}");
        }
        for xfam in [0, 1, 2, 0xB, 0x23, 0xE3, 0x803, 0x2_0003, (1 << 63) | 3] {
            assert!(!is_xfam_sound(xfam, fixed0), "{xfam:#x}");
        }
    }

    #[test]
    fn migratable_excludes_debug() {
        let fixed0 = Shape::from(Profile::V1_5_01).attributes_fixed0();
        let accepts = |raw| check_attributes(Attributes::from_raw(raw), fixed0).is_ok();
        assert!(accepts(1) && accepts(1 << 29) && accepts(1 << 63));
        assert!(!accepts((1 << 29) | 1) && !accepts((1 << 29) | (1 << 63)) && !accepts(1 << 31));
    }
}
