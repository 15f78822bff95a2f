// SPDX-License-Identifier: GPL-2.0

//! Steps out of order in the life of a TD, none of which compiles. Beside a step stands, where there is
//! one, a state in which it does.

/// A documentation test: `$step` with `td` in state `$state`, in a block that begins with `$fence`.
macro_rules! block {
    ($fence:expr, $state:expr, $step:expr) => {
        concat!(
            "```",
            $fence,
            "
# #![allow(unused)]
# use tdx::{
#     abi::{Args, Gpa, HostPa, Level, Pfn},
#     seamcall::EnterTd,
#     sept::{Machine, Memory, Range},
#     td::{state::{self, *}, vcpu, Host, Td, Vcpu},
#     tdh::vp::Hints,
# };
# fn step<M: Machine + EnterTd, H: Host>(
#     params: HostPa<1024>, gpa: Gpa, page: Pfn, range: &Range, memory: &[Memory], hints: Hints, regs: Args,
mut td: ",
            $state,
            "
# ) {
",
            $step,
            "
# }
```
"
        )
    };
}

macro_rules! out_of_order {
    ($($name:ident: $step:literal, $error:literal in $wrong:literal $(, but not in $right:literal)?;)*) => {
        $(
            #[doc = block!(concat!("compile_fail,", $error), $wrong, $step)]
            $(#[doc = block!("", $right, $step)])?
            pub mod $name {}
        )*
    };
}

// What is out of order: step, the compiler's error, state, and a state in which it is in order.
out_of_order! {
    no_key: "td.initialise(params);", "E0599" in "Td<M, H, Created>",
        but not in "Td<M, H, KeyConfigured>";
    vcpu_too_early: "td.create_vcpu();", "E0599" in "Td<M, H, KeyConfigured>",
        but not in "Td<M, H, Initialised>";
    // SAFETY: The step is only compiled, or refused by the compiler; it never runs.
    memory_too_early: "unsafe { td.map(gpa, memory, Level::M2) };", "E0599" in "Td<M, H, KeyConfigured>",
        but not in "Td<M, H, Initialised>";
    no_vcpu: "td.finalise();", "E0599" in "Td<M, H, Initialised>",
        but not in "Td<M, H, Building>";
    vcpu_without_pages: "td.init(0, 0);", "E0599" in "Vcpu<M, H, vcpu::Created>",
        but not in "Vcpu<M, H, vcpu::Complete>";
    pages_twice: "td.add_pages();", "E0599" in "Vcpu<M, H, vcpu::Complete>",
        but not in "Vcpu<M, H, vcpu::Created>";
    vcpu_half_made: "td.finalise();", "E0599" in "Vcpu<M, H, vcpu::Complete>";
    // SAFETY: As above.
    initial_memory_too_late: "unsafe { td.add(range, page, page) };", "E0599" in "Td<M, H, Finalised>",
        but not in "Td<M, H, Building>";
    measured_too_late: "td.extend(gpa);", "E0599" in "Td<M, H, Finalised>",
        but not in "Td<M, H, Building>";
    vcpu_too_late: "td.create_vcpu();", "E0599" in "Td<M, H, Finalised>",
        but not in "Td<M, H, Building>";
    final_twice: "td.finalise();", "E0599" in "Td<M, H, Finalised>";
    // SAFETY: As above.
    run_too_early: "td.vcpu(0).map(|vcpu| unsafe { vcpu.enter(hints, regs) });",
        "E0599" in "Td<M, H, Building>", but not in "Td<M, H, Finalised>";
    state_before: "td.finalise(); td.create_vcpu();", "E0382" in "Td<M, H, Building>";
    split_after_the_end: "td.split(gpa, Level::M2);", "E0599" in "Td<M, H, TornDown>",
        but not in "Td<M, H, Finalised>";
    merged_at_the_end: "td.merge(gpa, Level::M2);", "E0599" in "Td<M, H, Ending>",
        but not in "Td<M, H, Finalised>";
    torn_down_twice: "td.tear_down();", "E0599" in "Td<M, H, TornDown>",
        but not in "Td<M, H, Ending>";
    // SAFETY: As above.
    address_for_a_page: "unsafe { td.add(range, gpa, page) };", "E0308" in "Td<M, H, Building>";
    number_for_a_level: "td.split(gpa, 1);", "E0308" in "Td<M, H, Finalised>";
    state_out_of_nothing: "drop(state::Finalised(()));", "E0603" in "Td<M, H, Building>";
}
