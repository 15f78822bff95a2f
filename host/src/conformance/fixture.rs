// SPDX-License-Identifier: GPL-2.0

//! TDs in the stages of their lives, in the same pages always.

use crate::{
    abi::Leaf,
    layout,
    sim::model::{
        platform::Profile,
        tdcs,
        tdvps, //
    },
    world::World, //
};
use std::sync::LazyLock;

/// Page `n` of the memory that TDX covers.
pub const fn page(n: u64) -> u64 {
    layout::TDMR_BASE + n * 4096
}

/// The KeyID of the TD.
pub const HKID: u64 = 33;
/// A KeyID that nobody has.
pub const FREE_HKID: u64 = 40;
/// Its pages: the root,
pub const TDR: u64 = page(1);
/// the first of the control structure,
pub const TDCX: u64 = page(2);
/// the first of its vCPU,
pub const TDVPR: u64 = page(11);
/// table pages, by the level of their entries,
pub const TABLES: [u64; 3] = [page(22), page(21), page(20)];
/// the root of the secure EPT, which is the fourth TDCX page,
pub const SEPT_ROOT: u64 = page(5);
/// what is mapped at [`GPA_MAPPED`], at [`GPA_PENDING`], and with a 2M page at [`GPA_LARGE`].
pub const MAPPED: u64 = page(30);
/// See [`MAPPED`].
pub const PENDING: u64 = page(31);
/// See [`MAPPED`].
pub const LARGE: u64 = page(512);
/// Pages that nobody has.
pub const FREE: u64 = page(40);
/// See [`FREE`].
pub const UNUSED: u64 = page(42);
/// See [`FREE`].
pub const FREE_LARGE: u64 = page(1024);
/// A 2M page that a check may put to use.
pub const USED_LARGE: u64 = page(1536);
/// Memory that TDX does not cover; the host's own.
pub const UNCOVERED: u64 = 0x1000;
/// A page of the host's.
pub const SOURCE: u64 = 0x0201_0000;
/// TD_PARAMS.
pub const TD_PARAMS: u64 = 0x0200_0000;

/// A page that PAGE.ADD has mapped.
pub const GPA_MAPPED: u64 = 0;
/// A page that PAGE.AUG has mapped.
pub const GPA_PENDING: u64 = 0x1000;
/// A page that is not mapped.
pub const GPA_FREE: u64 = 0x2000;
/// A 2M page that PAGE.AUG has mapped.
pub const GPA_LARGE: u64 = 0x20_0000;
/// A 2M page whose entry is free.
pub const GPA_FREE_LARGE: u64 = 0x40_0000;

/// A machine on which nobody has called the module yet; TDMR_INFO and TD_PARAMS are there.
pub fn cold(profile: Profile) -> World {
    let world = World::new(profile, 1);
    world.describe_memory();
    // XFAM, MAX_VCPUS, EPTP_CONTROLS and TSC_FREQUENCY.
    for (offset, word) in [(8, 3), (16, 2), (24, 0x1E), (40, 40)] {
        world.poke(TD_PARAMS + offset, word);
    }
    world
}

/// A machine whose module is READY and that has no TD.
pub fn ready() -> World {
    ready_of(Profile::Current)
}

/// The same with another module.
fn ready_of(profile: Profile) -> World {
    static READY: [LazyLock<World>; 2] = [
        LazyLock::new(|| up(Profile::Current)),
        LazyLock::new(|| up(Profile::V1_5_01)),
    ];
    fn up(profile: Profile) -> World {
        let world = cold(profile);
        world.bring_up();
        world
    }
    READY[usize::from(profile == Profile::V1_5_01)].copy()
}

/// A TD that has its KeyID.
pub fn created() -> World {
    created_by(Profile::Current)
}

fn created_by(profile: Profile) -> World {
    let world = ready_of(profile);
    world.ok(Leaf::MngCreate, &[TDR, HKID]);
    world
}

/// A TD that has `pages` TDCX pages.
pub fn with_tdcx(pages: u64) -> World {
    with_tdcx_by(Profile::Current, pages)
}

/// The same TD of another module.
pub fn with_tdcx_by(profile: Profile, pages: u64) -> World {
    let world = created_by(profile);
    world.ok(Leaf::MngKeyConfig, &[TDR]);
    for n in 0..pages {
        world.ok(Leaf::MngAddcx, &[TDCX + n * 4096, TDR]);
    }
    world
}

/// A TD that MNG.INIT has made, with these ATTRIBUTES.
pub fn initialized(attributes: u64) -> World {
    let world = with_tdcx(6);
    world.poke(TD_PARAMS, attributes);
    world.ok(Leaf::MngInit, &[TDR, TD_PARAMS]);
    world
}

/// Adds a vCPU of `pages` pages.
fn add_vcpu(world: &World, pages: u64) {
    world.ok(Leaf::VpCreate, &[TDVPR, TDR]);
    for n in 1..pages {
        world.ok(Leaf::VpAddcx, &[TDVPR + n * 4096, TDVPR]);
    }
}

/// A TD with a vCPU that VP.INIT has not seen and that has `pages` pages.
pub fn with_vcpu(pages: u64) -> World {
    let world = initialized(0);
    add_vcpu(&world, pages);
    world
}

/// A TD with a vCPU that logical processor 0 has state of.
pub fn with_ready_vcpu(attributes: u64) -> World {
    let world = initialized(attributes);
    add_vcpu(&world, 6);
    world.ok(Leaf::VpInit, &[TDVPR]);
    world
}

/// A TD with memory.
pub fn with_memory(attributes: u64) -> World {
    let world = with_ready_vcpu(attributes);
    for (level, table) in [(3, TABLES[2]), (2, TABLES[1]), (1, TABLES[0])] {
        world.ok(Leaf::MemSeptAdd, &[level, TDR, table]);
    }
    world.ok(Leaf::MemPageAdd, &[GPA_MAPPED, TDR, MAPPED, SOURCE]);
    world.ok(Leaf::MemPageAug, &[GPA_PENDING, TDR, PENDING]);
    world.ok(Leaf::MemPageAug, &[GPA_LARGE | 1, TDR, LARGE]);
    world
}

/// The same TD when it can run.
pub fn runnable() -> World {
    let world = with_memory(0);
    world.ok(Leaf::MrFinalize, &[TDR]);
    world
}

/// A TD that can run and in which `gpa`, an address with a level, was blocked in an epoch that is
/// over.
pub fn blocked(gpa: u64) -> World {
    let world = runnable();
    world.ok(Leaf::MemRangeBlock, &[gpa, TDR]);
    world.ok(Leaf::MemTrack, &[TDR]);
    world
}

/// A TD whose KeyID is given up.
pub fn given_up() -> World {
    let world = with_memory(0);
    world.ok(Leaf::VpFlush, &[TDVPR]);
    world.ok(Leaf::MngVpflushdone, &[TDR]);
    world
}

/// A TD whose KeyID is free again.
pub fn torn_down() -> World {
    let world = given_up();
    world.ok(Leaf::PhymemCacheWb, &[]);
    world.ok(Leaf::MngKeyFreeid, &[TDR]);
    world
}

/// The TDR pages of [`two_tds`]: of a TD that can run, and of one being built.
pub const TDRS: [u64; 2] = [page(0), page(24)];

/// The first page after those that [`two_tds`] uses.
pub const BUILT: u64 = 49;

/// Two TDs with a vCPU and table pages for the GPAs from 0 to 2M. The first has a page and can run.
pub fn two_tds(profile: Profile) -> World {
    let world = cold(profile);
    world.bring_up();
    let [runs, _] = TDRS;
    for (tdr, hkid) in TDRS.into_iter().zip(HKID..) {
        let mut free = (tdr..).step_by(4096).skip(1);
        let mut next = || free.next().unwrap_or(0);
        world.ok(Leaf::MngCreate, &[tdr, hkid]);
        world.ok(Leaf::MngKeyConfig, &[tdr]);
        for _ in 0..tdcs::BASE_PAGES {
            world.ok(Leaf::MngAddcx, &[next(), tdr]);
        }
        world.ok(Leaf::MngInit, &[tdr, TD_PARAMS]);
        let vcpu = next();
        world.ok(Leaf::VpCreate, &[vcpu, tdr]);
        for _ in 1..tdvps::BASE_PAGES {
            world.ok(Leaf::VpAddcx, &[next(), vcpu]);
        }
        world.ok(Leaf::VpInit, &[vcpu]);
        for level in [3, 2, 1] {
            world.ok(Leaf::MemSeptAdd, &[level, tdr, next()]);
        }
    }
    world.ok(Leaf::MemPageAdd, &[0, runs, page(BUILT - 1), SOURCE]);
    world.ok(Leaf::MrFinalize, &[runs]);
    world
}
