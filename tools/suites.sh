# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The suites of tests: each runs, then its single tests are counted. One that fails or does not run does not keep the
# others from running.

TOTALS=$BUILD/totals

. "$TOOLS/host.sh"

# What is no <first private KeyID>,<number of private KeyIDs>.
WRONG_PLATFORMS=("" "32" "32," ",32" "32,32," "32,32x" "32x,32" "x,y"
	"32-40,32" "-32,32" "0,32" "32,0" "65535,2" "65568,32" "32,65568" "4294967328,32")

# The host is kept out of memory in TDX hands.
PROTECT="debug_pagealloc=on tdx_sim.protect=1"

begin_suites()
{
	rm -f "$TOTALS"
}

# The closing line; fails unless all passed.
end_suites()
{
	took
	"$TOOLS/count.py" --totals "$TOTALS" --sum
}

# count SUITE KIND FILE: count single tests. If the step that ran them failed but none of them, that is a failure, too.
count()
{
	local -a options=(--totals "$TOTALS" --name "$1" --kind "$2")
	[ "$STEP_STATUS" = 0 ] || options+=(--error "the run ended badly, see above")
	"$TOOLS/count.py" "${options[@]}" "$3"
}

# What tests that failed have left is for people to see; the one that fails on purpose is not.
show_traces()
{
	grep '^  SEAMCALLs: ' "$LOGS/$1.log" | grep -v '/failing\.' || true
}

# cargo_test ARGUMENT...: cargo test in host/.
cargo_test()
{
	host_cargo . cargo
	cargo test --color never "$@"
}

host_suite()
{
	try_step "host: cargo test" cargo cargo_test --workspace --no-fail-fast
	count host cargo "$LOGS/cargo.log"
}

tools_suite()
{
	try_step "tools: wrong use gets words" refusals "$TOOLS/tests/refusals.sh"
	count tools tap "$LOGS/refusals.log"
	try_step "tools: the kernel tree follows patches/" update "$TOOLS/tests/update.sh"
	count tools tap "$LOGS/update.log"
	try_step "tools: the way into the build root" enter "$TOOLS/tests/enter.sh"
	count tools tap "$LOGS/enter.log"
}

# Bugs that tdx_sept_planted has, and what says that one was found.
PLANTED=("out_of_bounds KASAN: slab-out-of-bounds" "lock_inversion possible circular locking dependency" "leak unreferenced object"
	"warning WARNING: .*planted")

planted_suite()
{
	local log=$LOGS/planted.log
	try_step "QEMU: planted bugs are found" planted find_planted
	count planted tap "$log"
}

find_planted()
{
	local planted bug nr=0
	echo "# program: planted"
	for planted in "${PLANTED[@]}"; do
		bug=${planted%% *}
		nr=$((nr + 1))
		if is_found "$bug" "${planted#* }" >"$BUILD/planted.said" 2>&1; then
			echo "ok $nr - $bug"
		else
			echo "not ok $nr - $bug"
			sed 's/^/# /' "$BUILD/planted.said"
		fi
	done
	echo "1..$nr"
}

# is_found BUG WORDS: a run in which it shows fails, and the reason given is this one.
is_found()
{
	local status=0
	(vng_run "planted-$1" "modprobe tdx_sept_planted bug=$1") >"$BUILD/planted.found" 2>&1 || status=$?
	cat "$BUILD/planted.found"
	[ $status != 0 ] && grep -q "$2" "$BUILD/planted.found"
}

# shape_suite NAME PARAMETER...: with another TDX module.
shape_suite()
{
	local name=shape-$1
	try_step "QEMU: another TDX module: $1" "$name" vng_run "$name" "$TOOLS/guest/shape $1" "${@:2}"
	count "$name" tap "$BUILD/$name/report"
}

# With KUnit on, its tests run whenever the module is loaded, and other tests would see what they do.
qemu_suite()
{
	try_step "QEMU: the module without KVM" qemu vng_run qemu "$OUT/root/guest/test-qemu" "$SIM_PLATFORM"
	show_traces qemu
	count qemu tap "$BUILD/qemu/report"
	try_step "QEMU: KUnit, TDs without KVM" kunit vng_run kunit "modprobe tdx_sept" "$SIM_PLATFORM" "$PFN_MEMORY" kunit.enable=1 kunit.autorun=1
	show_traces kunit
	count kunit tap "$BUILD/kunit/console"
	try_step "QEMU: the commands of samples/tracing.md" tracing vng_run tracing \
		"$OUT/root/guest/test-tracing $TOP/samples/tracing.md" "$SIM_PLATFORM" kunit.enable=1 kunit.autorun=1
	count tracing tap "$BUILD/tracing/report"
	# What they make of it is in their heads: 1 GiB, which is a page of that size.
	VNG_MEMORY=3G try_step "QEMU: samples/*.rs" samples vng_run samples "$TOOLS/guest/samples $(echo "$TOP"/samples/*.rs)" \
		"$SIM_PLATFORM" "$PFN_GIB"
	show_traces samples
	count samples tap "$BUILD/samples/report"
	try_step "QEMU: a machine without TDX" no-tdx vng_run no-tdx "$TOOLS/guest/no-tdx" "${WRONG_PLATFORMS[@]/#/tdx_sim_platform=}"
	count no-tdx tap "$BUILD/no-tdx/report"

	shape_suite other tdx_sim_platform=48,16 kunit.enable=1 kunit.autorun=1 kunit.filter_glob=tdx_sept tdx_sim.version=2.1.7 \
		tdx_sim.features=+clflush_before_alloc,-arch_capabilities_config tdx_sim.max_tdmrs=1 tdx_sim.max_reserved_per_tdmr=8 \
		tdx_sim.pamt_entry_size=32,64,128 tdx_sim.tdcs_pages=8 tdx_sim.tdvps_pages=9
	shape_suite 1.5.01 "$SIM_PLATFORM" tdx_sim.profile=1.5.01
	shape_suite no-rbp "$SIM_PLATFORM" tdx_sim.features=-no_rbp_mod
	shape_suite bad "$SIM_PLATFORM" tdx_sim.max_tdmrs=65
	# shellcheck disable=SC2086 # one word for each parameter
	shape_suite protect "$SIM_PLATFORM" "$PFN_MEMORY" $PROTECT kunit.enable=1 kunit.autorun=1 kunit.filter_glob=tdx_sept
	shape_suite unprotected "$SIM_PLATFORM" tdx_sim.protect=1
}

# The guest's test run has a test that fails on purpose, and the SEAMCALLs of it are to give the same answers here.
replay_suite()
{
	local traces
	traces=$(ls "$BUILD"/test/failing.*.jsonl 2>/dev/null) || true
	try_step "host: SEAMCALLs of a failing test, replayed" failing replay_failing "$traces"
	count failing cargo "$LOGS/failing.log"
}

replay_failing()
{
	[ -n "$1" ] || die "the test that fails on purpose left no trace in build/test"
	export KERNEL_SRC CARGO_TARGET_DIR=$BUILD/cargo
	build_replayer
	# shellcheck disable=SC2086 # one word for each name
	replay $1
}

kvm_suite()
{
	# shellcheck disable=SC2086 # one word for each name
	try_step "$MACHINE: KVM's TDs, both backends" kvm boot test --timeout $((1200 * SLOW)) --trace --quiet test ${TESTS-}
	show_traces kvm
	count kvm tap "$BUILD/test/report"
}

# In a machine of its own: what it leaks stays leaked.
leaks_suite()
{
	try_step "$MACHINE: TDs that KVM cannot end" leaks boot leaks --timeout $((1200 * SLOW)) --trace --quiet leaks
	count leaks tap "$BUILD/leaks/report"
}

# What `make soak` does for hours, in little.
soak_suite()
{
	try_step "$MACHINE: a TD at random work" soak boot soak --timeout $((600 * SLOW)) --trace --quiet soak 2 200
	count soak tap "$BUILD/soak/report"
}

# A host that reaches for a TD's memory is caught, and KVM is none: not as it makes TDs, runs them, converts and splits their memory, and takes them
# down.
protect_suite()
{
	try_step "$MACHINE: TDs' memory kept from the host" protect boot protect --timeout $((600 * SLOW)) --trace --quiet --append "$PROTECT" \
		test protect life_cycle memory conversion huge_pages accept
	show_traces protect
	count protect tap "$BUILD/protect/report"
}
