// SPDX-License-Identifier: GPL-2.0

//! TDs on the model: the scenarios that KUnit runs in the kernel, and operations that are disturbed.

mod disturbed;
mod host_access;
mod large;
mod layouts;
mod leaves;
mod lender;
mod random;
mod shapes;
mod states;
mod walk;
mod whole;

use tdx::{
    bench::{
        self,
        ModelBench, //
    },
    scenario::{
        self,
        Fault, //
    }, //
};

/// Runs a scenario on a machine of its own; nothing may be left with the TDX module.
fn run(scenario: fn(&ModelBench) -> Result<(), Fault>) {
    let bench = ModelBench::new();
    if let Err(fault) = scenario(&bench) {
        panic!("{fault}");
    }
    bench.assert_all_given_back();
}

#[test]
fn life() {
    run(scenario::life);
}

#[test]
fn measurement() {
    run(scenario::measurement);
}

#[test]
fn ranges() {
    run(scenario::ranges);
}

#[test]
fn refused_calls() {
    run(scenario::refused_calls);
}

#[test]
fn refused_memory() {
    run(scenario::refused_memory);
}
