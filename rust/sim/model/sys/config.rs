// SPDX-License-Identifier: GPL-2.0

//! TDX ABI: TDH.SYS.CONFIG.

use crate::{
    abi::{
        Args,
        Level,
        Operand,
        Status, //
    },
    sim::model::{
        kot::KeyIdState,
        lock::Mode,
        platform::{
            Platform,
            Range, //
        },
        tdmr::{
            Tdmr,
            TdmrInfo,
            MAX_RESERVED,
            PAMT_LEVELS, //
        },
        Completion,
        Ctx,
        SysState, //
    }, //
};
use core::sync::atomic::Ordering::Relaxed;

/// Alignment and, as far as it is read, size of TDMR_INFO and of the array of pointers to it.
const ALIGN: u64 = 512;

/// TDMR_INFO, offsets in bytes: base and size; then those of the PAMTs, largest page size first;
/// then the reserved areas with offsets relative to the base.
mod offset {
    pub(super) const RANGE: u64 = 0;
    pub(super) const PAMT: u64 = 16;
    pub(super) const RESERVED: u64 = 64;
    /// Size of a pair of base and size.
    pub(super) const PAIR: usize = 16;
}

/// Takes over the TDMRs and the global private KeyID.
pub fn leaf<P: Platform>(cx: &Ctx<'_, P>, args: &mut Args) -> Completion {
    let _global = cx.module.lock(Mode::Exclusive)?;
    let config = cx.p.config();
    if cx.module.state() != SysState::InitDone || cx.module.nr_lps() != u64::from(config.nr_lps) {
        return Err(Status::SYS_CONFIG_NOT_PENDING);
    }
    let array = cx.check_shared_hpa(Operand::RCX, args.rcx, ALIGN)?;
    if args.rdx == 0 || args.rdx > u64::from(config.module.max_tdmrs) {
        return Err(Status::OPERAND_INVALID.with(Operand::RDX));
    }
    let hkid = u16::try_from(args.r8)
        .ok()
        .filter(|hkid| config.is_private_keyid(*hkid))
        .ok_or(Status::OPERAND_INVALID.with(Operand::R8))?;

    for index in 0..args.rdx {
        let added = add_tdmr(cx, array, index);
        if added.is_err() {
            cx.module.tdmrs.clear();
            return added;
        }
    }
    cx.module.kot.set(hkid, KeyIdState::Reserved);
    cx.module.hkid.store(u64::from(hkid), Relaxed);
    cx.module.set_state(SysState::ConfigDone);
    Ok(())
}

/// Packs indexes into the details of a status, the first into the lowest byte.
fn at(status: Status, indexes: [u64; 3]) -> Status {
    let [i, j, k] = indexes;
    status.with_detail((i | (j << 8) | (k << 16)) as u32)
}

/// Reads TDMR_INFO `index` of the array, checks it, and appends it to the table.
fn add_tdmr<P: Platform>(cx: &Ctx<'_, P>, array: u64, index: u64) -> Completion {
    let info = cx.check_shared_hpa(
        Operand::RCX,
        cx.p.load(array.wrapping_add(index.wrapping_mul(8))),
        ALIGN,
    )?;
    let pair = |offset: u64| Range {
        base: cx.p.load(info.wrapping_add(offset)),
        size: cx.p.load(info.wrapping_add(offset).wrapping_add(8)),
    };
    let module = &cx.p.config().module;
    let mut tdmr = TdmrInfo {
        range: pair(offset::RANGE),
        pamt_entry_sizes: PAMT_LEVELS.map(|level| module.pamt_entry_size(level)),
        ..TdmrInfo::default()
    };
    let pamts = (offset::PAMT..offset::RESERVED).step_by(offset::PAIR);
    for (pamt, offset) in tdmr.pamt.iter_mut().rev().zip(pamts) {
        *pamt = pair(offset);
    }
    let areas = (offset::RESERVED..ALIGN)
        .step_by(offset::PAIR)
        .take(module.max_reserved_per_tdmr.into());
    for (area, offset) in tdmr.reserved.iter_mut().zip(areas) {
        *area = pair(offset);
    }

    check_range(cx, &tdmr, index)?;
    check_reserved(&mut tdmr, index)?;
    check_pamts(cx, &tdmr, index)?;
    let mut result = Ok(());
    for_available(tdmr.range, tdmr.reserved.iter().copied(), |part| {
        if !in_cmrs(cx, part) {
            result = Err(at(Status::TDMR_OUTSIDE_CMRS, [index, 0, 0]));
        }
    });
    result?;
    if cx.module.tdmrs.push(&tdmr) {
        Ok(())
    } else {
        Err(Status::OPERAND_INVALID.with(Operand::RDX))
    }
}

/// Whether base and size are multiples of a page of `level` and the range has neither KeyID nor end
/// beyond memory.
fn is_sound<P: Platform>(cx: &Ctx<'_, P>, range: &Range, level: Level) -> bool {
    let memory = cx.p.config().memory_mask();
    let offset = level.size().wrapping_sub(1);
    (range.base | range.size) & offset == 0
        && range
            .base
            .checked_add(range.size)
            .is_some_and(|end| end.saturating_sub(1) & !memory == 0)
}

fn check_range<P: Platform>(cx: &Ctx<'_, P>, tdmr: &TdmrInfo, index: u64) -> Completion {
    let invalid = at(Status::INVALID_TDMR, [index, 0, 0]);
    let range = tdmr.range;
    range.base.checked_add(range.size).ok_or(invalid)?;
    let previous = cx
        .module
        .tdmrs
        .iter()
        .last()
        .map_or(0, |last| last.range().end());
    if range.base < previous {
        return Err(at(Status::NON_ORDERED_TDMR, [index, 0, 0]));
    }
    if range.size == 0 || !is_sound(cx, &range, Level::G1) {
        return Err(invalid);
    }
    Ok(())
}

/// Checks the reserved areas and makes their addresses physical.
fn check_reserved(tdmr: &mut TdmrInfo, index: u64) -> Completion {
    let mut end = 0;
    let mut first_unused = None;
    for (j, area) in (0..MAX_RESERVED as u64).zip(&mut tdmr.reserved) {
        let invalid = at(Status::INVALID_RESERVED_IN_TDMR, [index, j, 0]);
        let unordered = |j| Err(at(Status::NON_ORDERED_RESERVED_IN_TDMR, [index, j, 0]));
        if area.size == 0 {
            first_unused = first_unused.or(Some(j));
            continue;
        }
        if let Some(hole) = first_unused {
            return unordered(hole);
        }
        let area_end = area.base.checked_add(area.size).ok_or(invalid)?;
        let page = Level::K4.size();
        if area.base % page != 0 || area.size % page != 0 || area_end > tdmr.range.size {
            return Err(invalid);
        }
        if area.base < end {
            return unordered(j);
        }
        end = area_end;
        area.base = tdmr.range.base.saturating_add(area.base);
    }
    Ok(())
}

/// Checks the memory given for the PAMTs: sound, big enough, used for nothing else, convertible.
fn check_pamts<P: Platform>(cx: &Ctx<'_, P>, tdmr: &TdmrInfo, index: u64) -> Completion {
    for level in PAMT_LEVELS.into_iter().rev() {
        let id = level.raw();
        let Some(pamt) = tdmr.pamt.get(id as usize) else {
            continue;
        };
        let needed = (tdmr.range.size >> level.shift())
            .wrapping_mul(cx.p.config().module.pamt_entry_size(level));
        if !is_sound(cx, pamt, Level::K4) || pamt.size < needed {
            return Err(at(Status::INVALID_PAMT, [index, id, 0]));
        }
        let overlap = |other| Err(at(Status::PAMT_OVERLAP, [index, id, other]));
        for (other, earlier) in cx.module.tdmrs.iter().enumerate() {
            if PAMT_LEVELS.iter().any(|l| earlier.pamt(*l).overlaps(pamt))
                || is_available(earlier.range(), earlier.reserved(), pamt)
            {
                return overlap(other as u64);
            }
        }
        // Of this TDMR, the PAMTs of larger pages have been looked at before.
        let larger = tdmr.pamt.iter().skip(id as usize).skip(1);
        if larger.into_iter().any(|other| other.overlaps(pamt))
            || is_available(tdmr.range, tdmr.reserved.iter().copied(), pamt)
        {
            return overlap(index);
        }
        if !in_cmrs(cx, *pamt) {
            return Err(at(Status::PAMT_OUTSIDE_CMRS, [index, id, 0]));
        }
    }
    // The PAMTs of earlier TDMRs could not be compared with this one before.
    for (other, earlier) in cx.module.tdmrs.iter().enumerate() {
        if let Some(id) = overlapping_pamt(earlier, tdmr) {
            return Err(at(Status::PAMT_OVERLAP, [other as u64, id, index]));
        }
    }
    Ok(())
}

/// The size id of a PAMT of `earlier` that lies in usable memory of `tdmr`.
fn overlapping_pamt(earlier: &Tdmr, tdmr: &TdmrInfo) -> Option<u64> {
    let levels = PAMT_LEVELS.iter().rev();
    levels
        .copied()
        .find(|l| is_available(tdmr.range, tdmr.reserved.iter().copied(), &earlier.pamt(*l)))
        .map(Level::raw)
}

/// Calls `f` with each part of a TDMR that is not reserved.
fn for_available(range: Range, reserved: impl Iterator<Item = Range>, mut f: impl FnMut(Range)) {
    let mut base = range.base;
    for area in reserved.filter(|area| area.size != 0) {
        if area.base > base {
            f(Range {
                base,
                size: area.base.saturating_sub(base),
            });
        }
        base = area.end();
    }
    if range.end() > base {
        f(Range {
            base,
            size: range.end().saturating_sub(base),
        });
    }
}

/// Whether a part of a TDMR that is not reserved overlaps `other`.
fn is_available(range: Range, reserved: impl Iterator<Item = Range>, other: &Range) -> bool {
    let mut found = false;
    for_available(range, reserved, |part| found |= part.overlaps(other));
    found
}

/// Whether a range lies in convertible memory; ranges that touch count as one.
fn in_cmrs<P: Platform>(cx: &Ctx<'_, P>, range: Range) -> bool {
    let mut base = range.base;
    for cmr in &cx.p.config().cmrs {
        if base >= cmr.base && base < cmr.end() {
            base = cmr.end();
        }
    }
    base >= range.end()
}
