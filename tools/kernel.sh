# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The kernel: source, patches, configuration, build.
#
# The patched source tree and its objects are in the cache and updated in place, so that a change of a patch rebuilds only
# what depends on it. A stamp, taken away before a change and written after it, tells whether they are complete.

# Sets KERNEL_SRC and KERNEL_OBJ. VARIANT=debug is another kernel from the same tree: its objects are kept apart.
kernel_tree()
{
	if [ -n "$TDX_LINUX" ]; then
		KERNEL_SRC=$IN_LINUX
		KERNEL_OBJ=$CACHE/obj-$(printf %s "$TDX_LINUX" | hash_of)${VARIANT:+.$VARIANT}
		check_own_tree
		return
	fi
	KERNEL_SRC=$CACHE/linux
	KERNEL_OBJ=$CACHE/obj${VARIANT:+.$VARIANT}
	local key
	key=$KERNEL_VERSION-$(hash_files "$TOP/patches")
	if ! has_stamp "$KERNEL_SRC/.patched" "$key"; then
		fetch_kernel
		step "kernel source: unpack and patch" patch update_tree
		set_stamp "$KERNEL_SRC/.patched" "$key"
	fi
}

has_stamp()
{
	[ -f "$1" ] && [ "$(cat "$1")" = "$2" ]
}

set_stamp()
{
	printf '%s\n' "$2" >"$1"
}

fetch_kernel()
{
	cached "source-$KERNEL_VERSION" "kernel source: $KERNEL_PACKAGE $KERNEL_VERSION" source download_kernel
}

download_kernel()
{
	local dir=$1
	cd "$dir"
	update_packages
	if ! apt-get -o APT::Sandbox::User=root download "$KERNEL_PACKAGE=$KERNEL_VERSION"; then
		die "the Debian archive has no $KERNEL_PACKAGE $KERNEL_VERSION, it has: $(kernel_versions)." \
			"Put one of these into tools/versions.sh"
	fi
	dpkg-deb -x ./*.deb .
	mv usr/src/linux-source-*.tar.xz linux.tar.xz
	rm -rf ./*.deb usr
}

kernel_versions()
{
	apt-cache pkgnames linux-source- | grep '^linux-source-[0-9.]*$' | xargs -r apt-cache madison |
		awk '/ Packages$/ { printf "%s%s %s", s, $1, $3; s = ", " } END { if (!NR) printf "none" }'
}

# Names of the files that patches/ touch; of those that they add with --new, of the others with --old.
patched_files()
{
	[ -n "$(ls "$TOP/patches")" ] || return 0
	awk -v want="$1" '
		/^--- / { old = $2 }
		/^\+\+\+ b\// {
			if (old == "/dev/null") is_new[substr($2, 3)] = 1
			else known[substr($2, 3)] = 1
		}
		END {
			if (want == "--new") for (f in is_new) print f
			else for (f in known) if (!(f in is_new)) print f
		}' "$TOP"/patches/*.patch
}

# unpack DIRECTORY [FILE-LIST]: from the package, and apply patches/.
unpack_patched()
{
	local dir=$1 patch
	mkdir -p "$dir"
	tar -xf "$CACHE/source-$KERNEL_VERSION/linux.tar.xz" -C "$dir" --strip-components=1 ${2:+--files-from="$2"}
	cd "$dir"
	for patch in "$TOP"/patches/*.patch; do
		git apply --whitespace=nowarn "$patch" ||
			die "patches/$(basename "$patch") does not apply to $KERNEL_PACKAGE $KERNEL_VERSION: rebase it"
	done
}

# Sets the tree up, or changes only what other patches than before make different: what make has built stays of use.
update_tree()
{
	local new=$CACHE/tmp.linux file top
	rm -rf "$new" "$new".*
	if ! has_stamp "$KERNEL_SRC/.version" "$KERNEL_VERSION"; then
		unpack_patched "$new"
		ln -s "$IN_SRC" "$new/drivers/virt/coco/tdx-sept"
		note_patched "$new"
		rm -rf "$KERNEL_SRC" "$CACHE/obj" "$CACHE"/obj.*
		set_stamp "$new/.version" "$KERNEL_VERSION"
		mv "$new" "$KERNEL_SRC"
		return
	fi

	# Whenever this ends, the lists name all files that are not as in the package.
	rm -f "$KERNEL_SRC/.patched"
	note_patched "$KERNEL_SRC" and-kept
	top=$(basename "$(tar -tf "$CACHE/source-$KERNEL_VERSION/linux.tar.xz" 2>/dev/null | head -n 1)")
	sed "s|^|$top/|" "$KERNEL_SRC/.old" >"$new.list"
	unpack_patched "$new" "$new.list"
	sort -u "$KERNEL_SRC/.old" "$KERNEL_SRC/.new" | while read -r file; do
		if [ ! -e "$new/$file" ]; then
			rm -f "$KERNEL_SRC/$file"
		elif ! cmp -s "$new/$file" "$KERNEL_SRC/$file"; then
			install -D -m "$(stat -c %a "$new/$file")" "$new/$file" "$KERNEL_SRC/$file"
		fi
	done
	note_patched "$KERNEL_SRC"
	rm -rf "$new" "$new".*
}

# note_patched TREE [and-kept]: lists what patches/ change (.old) and add (.new), beside what is listed already.
note_patched()
{
	local tree=$1 kept=${2-} kind
	for kind in old new; do
		patched_files --$kind | sort -u - ${kept:+"$tree/.$kind"} >"$CACHE/tmp.linux.$kind"
		mv "$CACHE/tmp.linux.$kind" "$tree/.$kind"
	done
}

# The user's tree is the user's: it is looked at, not changed.
check_own_tree()
{
	local all=$BUILD/series.patch link=drivers/virt/coco/tdx-sept
	cat "$TOP"/patches/*.patch >"$all"
	cd "$KERNEL_SRC"
	if ! applied_or_not --reverse "$all"; then
		applied_or_not "$all" || die "patches/ do not apply to $TDX_LINUX: use v$KERNEL_SERIES, or rebase them"
		die "the tree has not got our patches yet: git -C $TDX_LINUX am $TDX_TOP/patches/*.patch"
	fi
	[ -L $link ] && [ "$(readlink $link)" = "$TDX_TOP" ] ||
		die "the tree has no link to this directory yet: ln -sfn $TDX_TOP $TDX_LINUX/$link"
	[ ! -e .config ] && [ ! -e include/config ] ||
		die "$TDX_LINUX was built in place: make mrproper there, or use a git worktree of it"
	cd "$TOP"
}

applied_or_not()
{
	GIT_DIR=/nonexistent git apply --check --whitespace=nowarn "$@" 2>/dev/null
}

kmake()
{
	make -C "$KERNEL_SRC" O="$KERNEL_OBJ" LLVM=1 KBUILD_BUILD_USER=tdx-sept KBUILD_BUILD_HOST=tdx-sept -j"$(nproc)" "$@"
}

# What we want of a kernel: later lines win.
wanted_options()
{
	cat "$TOP/kernel.config" ${VARIANT:+"$TOP/kernel-$VARIANT.config"}
}

# The smallest kernel, and what we want on top of it.
configure_kernel()
{
	local missing all=$KERNEL_OBJ/all.config
	(cd "$KERNEL_SRC"; cat kernel/configs/tiny-base.config kernel/configs/tiny.config arch/x86/configs/tiny.config) >"$all"
	wanted_options >>"$all"
	KCONFIG_ALLCONFIG=$all kmake allnoconfig
	missing=$(missing_options)
	[ -z "$missing" ] || die "the kernel does not take these options: $missing"
}

missing_options()
{
	local line
	wanted_options | awk -F = '/^CONFIG_/ { last[$1] = $0 } END { for (name in last) print last[name] }' | sort |
	while read -r line; do
		case $line in
		*=n) ! grep -qE "^${line%=n}=" "$KERNEL_OBJ/.config" || printf '%s ' "$line" ;;
		*) grep -qxF "$line" "$KERNEL_OBJ/.config" || printf '%s ' "$line" ;;
		esac
	done
}

# What of this checkout goes into the kernel.
kernel_inputs()
{
	(cd "$TOP"; wanted_options; hash_files Kbuild Kconfig rust samples/Kbuild samples/*.rs selftests/bench selftests/kunit selftests/planted patches) | hash_of
}

build_kernel()
{
	kmake bzImage modules headers
	rm -rf "$KERNEL_OBJ/modules"
	kmake INSTALL_MOD_PATH="$KERNEL_OBJ/modules" INSTALL_MOD_STRIP=1 modules_install
}

# The kernel of this checkout; copies what a machine needs to OUT, so that another checkout may build then.
make_kernel()
{
	kernel_tree
	mkdir -p "$KERNEL_OBJ"

	local inputs config
	inputs=$(kernel_inputs)
	config=$( (wanted_options; cat "$TOP/Kconfig" "$TOOLS/kernel.sh"; hash_files "$TOP/patches") | hash_of)

	# Times of files say nothing across checkouts.
	if ! has_stamp "$KERNEL_OBJ/.checkout" "$TDX_TOP"; then
		rm -rf "$KERNEL_OBJ/drivers/virt/coco/tdx-sept" "$KERNEL_OBJ/.built"
		set_stamp "$KERNEL_OBJ/.checkout" "$TDX_TOP"
	fi
	if ! has_stamp "$KERNEL_OBJ/.configured" "$config"; then
		rm -f "$KERNEL_OBJ/.built" "$KERNEL_OBJ/.configured"
		step "kernel: configure" config configure_kernel
		set_stamp "$KERNEL_OBJ/.configured" "$config"
	fi
	if [ -n "$TDX_LINUX" ] || ! has_stamp "$KERNEL_OBJ/.built" "$inputs"; then
		rm -f "$KERNEL_OBJ/.built"
		step "kernel: build" kernel build_kernel
		set_stamp "$KERNEL_OBJ/.built" "$inputs"
	fi
	mkdir -p "$OUT"
	rsync -a "$KERNEL_OBJ/arch/x86/boot/bzImage" "$OUT/"
	rsync -a --delete "$KERNEL_OBJ/modules/lib/modules/" "$OUT/modules/"
}
