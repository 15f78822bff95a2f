// SPDX-License-Identifier: GPL-2.0

//! Whose memory it is that the host reached for, for `protect.c`, which catches it.

use super::{
    model::{
        pamt,
        platform::Platform,
        sept::find::find,
        tdr,
        Ctx, //
    },
    platform,
    trap::MODULE, //
};
use crate::abi::{
    Level,
    PageType, //
};
use core::fmt;
use kernel::prelude::*;

/// A page in TDX hands.
struct Page {
    page_type: PageType,
    tdr: u64,
    hkid: u64,
    /// GPA and level of the S-EPT entry that maps or links it.
    place: Option<(u64, Level)>,
}

impl Page {
    /// Looks at the PAMT, from the largest size down, and takes no locks.
    fn at<P: Platform>(cx: &Ctx<'_, P>, pa: u64) -> Option<Self> {
        let (page_type, entry) = [Level::G1, Level::M2, Level::K4]
            .into_iter()
            .filter_map(|level| pamt::entry(cx, pa, level))
            .find_map(|entry| {
                let raw = entry.raw_type();
                let known = PageType::ALL.iter().find(|known| known.raw() == raw)?;
                let held = !matches!(known, PageType::Nda | PageType::Rsvd);
                held.then_some((*known, entry))
            })?;
        let tdr = match page_type {
            PageType::Tdr => pa & !(Level::K4.size() - 1),
            _ => entry.owner(),
        };
        Some(Self {
            page_type,
            tdr,
            hkid: tdr::fields::HKID.load(cx.p, tdr),
            place: find(cx, tdr, pa),
        })
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            page_type,
            tdr,
            hkid,
            place,
        } = self;
        write!(f, "{} of TD {tdr:#x}, HKID {hkid}", page_type.name())?;
        match place {
            Some((gpa, level)) => write!(f, ", GPA {gpa:#x}, level {}", level.name()),
            None => Ok(()),
        }
    }
}

/// Reports that the host read or wrote memory at `pa`; `false` if that is not in TDX hands.
pub(super) fn report(pa: u64, write: bool) -> bool {
    let page = platform::host().and_then(|host| {
        host.with_machine(|machine| {
            let cx = Ctx {
                module: &MODULE,
                p: machine,
                version: 0,
            };
            Page::at(&cx, pa)
        })
    });
    let Some(Some(page)) = page else {
        return false;
    };
    let access = if write { "write" } else { "read" };
    pr_err!(
        "BUG: host {access} of memory in TDX hands at {pa:#x}: {}\n",
        core::format_args!("{page}") //
    );
    true
}
