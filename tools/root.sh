# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The build root: Debian by mmdebstrap, from the archive that this machine uses itself.

# Sets ROOT.
make_root()
{
	local name
	name=$(root_name)
	ROOT=$CACHE/$name
	[ -e "$ROOT" ] && return

	type mmdebstrap >/dev/null 2>&1 || step "installing mmdebstrap" mmdebstrap install_mmdebstrap
	cached "$name" "build root: Debian $DEBIAN_SUITE" root bootstrap
}

root_name()
{
	printf 'root-%s' "$(cat "$TOOLS/packages.txt" "$TOOLS/root.sh" "$TOOLS/versions.sh" | hash_of)"
}

install_mmdebstrap()
{
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends mmdebstrap && return
	apt-get update
	apt-get install -y --no-install-recommends mmdebstrap ||
		die "cannot install mmdebstrap: no packages reachable? See whether apt-get update works on this machine"
}

# Without root's rights mmdebstrap wants to make its user namespace itself: this is called outside of ours, and leaves a
# tar file for bootstrap.
make_root_tar()
{
	[ -e "$CACHE/$(root_name)" ] || step "build root: packages" root-tar debstrap unshare "$CACHE/root.tar"
}

bootstrap()
{
	local root=$1 uri
	chmod 755 "$root"
	if [ -n "${TDX_SEPT_USERNS-}" ]; then
		tar -xf "$CACHE/root.tar" -C "$root" --exclude='./dev/*' --numeric-owner
		rm -f "$CACHE/root.tar"
	else
		debstrap root "$root"
	fi

	# The kernel is in backports, Bochs is wanted as source.
	uri=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' "$root/etc/apt/sources.list" | head -n 1)
	printf '%s\n' "deb $uri $DEBIAN_SUITE-backports main" "deb-src $uri $DEBIAN_SUITE main" \
		>"$root/etc/apt/sources.list.d/tdx-sept.list"
	mkdir -p "$root$IN_SRC" "$root$IN_CACHE" "$root$IN_LINUX" "$root$IN_VECTORS"
}

# debstrap MODE TARGET
debstrap()
{
	local mode=$1 target=$2 mirror=${DEBIAN_MIRROR:-$(machine_mirror)} packages apt=$CACHE/apt.conf
	local -a options=(--mode="$mode" --variant=minbase)

	packages=$(sed 's/#.*//' "$TOOLS/packages.txt" | tr -s ' \n' ,)
	proxy_options >"$apt"
	[ ! -s "$apt" ] || options+=(--aptopt="$apt")

	mmdebstrap "${options[@]}" --include="$packages" "$DEBIAN_SUITE" "$target" ${mirror:+"deb $mirror $DEBIAN_SUITE main"} ||
		die "cannot make a Debian $DEBIAN_SUITE from ${mirror:-the default archive}: is it reachable (apt-get update)?" \
			"Another one: make DEBIAN_MIRROR=URI"
}

# The Debian archive in this machine's apt configuration; nothing if there is none.
machine_mirror()
{
	local uri
	type apt-get >/dev/null 2>&1 || return 0
	# shellcheck disable=SC2016 # apt's own variable
	while read -r uri; do
		case $uri in
		mirror+file:*) uri=$(grep -m 1 -Eo '^https?://[^[:space:]]+' "${uri#mirror+file:}") || continue ;;
		esac
		case $uri in
		http://*/debian|http://*/debian/|https://*/debian|https://*/debian/) printf '%s\n' "$uri"; return ;;
		esac
	done < <(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u)
}

proxy_options()
{
	type apt-config >/dev/null 2>&1 || return 0
	apt-config dump | grep -Ei '^(Acquire::(https?::)(proxy|verify-peer|cainfo)|Acquire::Retries)' || true
}
