// SPDX-License-Identifier: GPL-2.0

//! Values of the fields of the global context.
//!
//! TDX ABI: "Global Scope (TDX Module) Metadata".

use super::{
    cpuid::{
        self,
        CONFIGS, //
    },
    element,
    Who,
    NULL_ID, //
};
use crate::{
    abi::{
        metadata::{
            global,
            FieldId,
            GlobalField, //
        },
        Level,
        Status, //
    },
    sim::model::{
        platform::{
            Platform,
            MAX_CMRS, //
        },
        profile::{
            self,
            Shape, //
        },
        tdvps,
        Ctx, //
    }, //
};

/// Fields whose value never changes. Fields without a row are 0.
const CONSTANTS: &[(FieldId, u64)] = &[
    (global::VENDOR_ID, 0x8086),
    (global::BUILD_DATE, 0x2026_1122),
    (global::MODULE_HV, profile::HANDOFF_VERSION as u64),
    (global::MIN_UPDATE_HV, profile::HANDOFF_VERSION as u64),
    (global::NUM_TDX_FEATURES, 1),
    (global::NUM_CMRS, MAX_CMRS as u64),
    (global::TDR_BASE_SIZE, 4096),
    (global::TDCS_SIZE_PER_L2_VM, 4096),
    (global::TDVPS_SIZE_PER_L2_VM, tdvps::PAGES_PER_L2_VM * 4096),
    (global::XFAM_FIXED1, profile::XFAM_FIXED1),
    (global::NUM_CPUID_CONFIG, CONFIGS.len() as u64),
    (global::MAX_MIGS, 512),
    (global::NUM_IMMUTABLE_STATE_PAGES, 3),
    (global::NUM_TD_STATE_PAGES, 2),
    (global::NUM_VP_STATE_PAGES, 5),
    (global::MAX_SERV_TDS, 1),
    (global::SERVTD_ATTR_FIXED0, 0x7FF_0000_0001),
    (global::GUEST_L2_GPA_ATTR_MASK, 0x807F),
    (global::VM_CTLS_FIXED0, 1),
    (global::VPCU_L2_CTLS_FIXED0, 3),
    (global::VPCU_L2_DEBUG_CTLS_FIXED0, 7),
];

/// Fields whose value is the module's choice.
fn of_shape(module: &Shape) -> [(FieldId, u64); 15] {
    [
        (global::MAJOR_VERSION, module.version.major.into()),
        (global::MINOR_VERSION, module.version.minor.into()),
        (global::UPDATE_VERSION, module.version.update.into()),
        (global::TDX_FEATURES0, module.features0),
        (global::MAX_TDMRS, module.max_tdmrs.into()),
        (
            global::MAX_RESERVED_PER_TDMR,
            module.max_reserved_per_tdmr.into(),
        ),
        (
            global::PAMT_4K_ENTRY_SIZE,
            module.pamt_entry_size(Level::K4),
        ),
        (
            global::PAMT_2M_ENTRY_SIZE,
            module.pamt_entry_size(Level::M2),
        ),
        (
            global::PAMT_1G_ENTRY_SIZE,
            module.pamt_entry_size(Level::G1),
        ),
        (global::TDCS_BASE_SIZE, u64::from(module.tdcs_pages) * 4096),
        (
            global::TDVPS_BASE_SIZE,
            u64::from(module.tdvps_pages) * 4096,
        ),
        (global::ATTRIBUTES_FIXED0, module.attributes_fixed0()),
        (
            global::MAX_VCPUS_PER_TD,
            module.max_vcpus_per_td().map_or(0, u64::from),
        ),
        (global::CONFIG_FLAGS_FIXED0, module.config_flags_fixed0()),
        (
            global::IA32_ARCH_CAPABILITIES_CONFIG_MASK,
            module.arch_capabilities_config(),
        ),
    ]
}

/// The fields that the module has and shows to `who`.
pub fn fields<'a, P: Platform>(
    cx: &'a Ctx<'_, P>,
    who: Who,
) -> impl Iterator<Item = &'static GlobalField> + 'a {
    let has_max_vcpus = cx.p.config().module.max_vcpus_per_td().is_some();
    let is_known = move |field: &&GlobalField| {
        (has_max_vcpus || field.id.into_raw() != global::MAX_VCPUS_PER_TD.into_raw())
            && (who != Who::Guest || field.guest)
    };
    global::ALL.iter().filter(is_known)
}

/// Number of elements of all fields of an array together.
pub fn elements(field: &GlobalField) -> u32 {
    u32::from(field.fields) * u32::from(field.elements)
}

/// The field and the element that `id` names.
pub fn find<P: Platform>(
    cx: &Ctx<'_, P>,
    id: FieldId,
) -> Result<(&'static GlobalField, u32), Status> {
    fields(cx, Who::Host)
        .filter(|_| super::is_single(id))
        .find_map(|field| Some((field, element(field.id, elements(field), id)?)))
        .ok_or(Status::METADATA_FIELD_ID_INCORRECT)
}

/// The identifier of the first field for `who`.
pub fn first_id<P: Platform>(cx: &Ctx<'_, P>, who: Who) -> u64 {
    fields(cx, who)
        .next()
        .map_or(NULL_ID, |field| field.id.into_raw())
}

/// The identifier of the element after element `index` of `field` for `who`, or [`NULL_ID`].
pub fn next_id<P: Platform>(cx: &Ctx<'_, P>, who: Who, field: &GlobalField, index: u32) -> u64 {
    let next = index.wrapping_add(1);
    if next < elements(field) {
        return field.id.element(next).into_raw();
    }
    fields(cx, who)
        .skip_while(|other| other.id.into_raw() != field.id.into_raw())
        .nth(1)
        .map_or(NULL_ID, |next| next.id.into_raw())
}

/// The value of element `index` of `field`.
pub fn value<P: Platform>(cx: &Ctx<'_, P>, field: &GlobalField, index: u32) -> u64 {
    let config = cx.p.config();
    let is = |id: FieldId| field.id.into_raw() == id.into_raw();
    let cmr = config.cmrs.get(index as usize).copied().unwrap_or_default();
    if is(global::NUM_PKGS) {
        u64::from(config.nr_packages)
    } else if is(global::PKG_FMS) {
        if index < config.nr_packages {
            u64::from(config.fms)
        } else {
            0
        }
    } else if is(global::CMR_BASE) {
        cmr.base
    } else if is(global::CMR_SIZE) {
        cmr.size
    } else if is(global::XFAM_FIXED0) {
        cx.xfam_fixed0()
    } else if is(global::CPUID_CONFIG_LEAVES) {
        CONFIGS
            .get(index as usize)
            .map_or(u64::MAX, cpuid::Config::id)
    } else if is(global::CPUID_CONFIG_VALUES) {
        CONFIGS
            .get(index as usize / 2)
            .map_or(0, |leaf| cpuid::pair(&leaf.direct, index))
    } else {
        of_shape(&config.module)
            .iter()
            .chain(CONSTANTS)
            .find(|(id, _)| is(*id))
            .map_or(0, |(_, value)| *value)
    }
}

impl<P: Platform> Ctx<'_, P> {
    /// Extended features that the host can give to a TD.
    pub fn xfam_fixed0(&self) -> u64 {
        (self.p.config().xfam & profile::XFAM_FIXED0) | profile::XFAM_FIXED1
    }
}
