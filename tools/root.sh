# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The build root: Debian by mmdebstrap, from the archive that this machine uses itself.

# Sets ROOT.
make_root()
{
	local key
	key=$(cat "$TOOLS/packages.txt" "$TOOLS/root.sh" "$TOOLS/versions.sh" | hash_of)
	ROOT=$CACHE/root-$key
	[ -e "$ROOT" ] && return

	type mmdebstrap >/dev/null 2>&1 || install_mmdebstrap
	cached "root-$key" "build root: Debian $DEBIAN_SUITE" root bootstrap
}

install_mmdebstrap()
{
	[ -z "${TDX_SEPT_USERNS-}" ] && type apt-get >/dev/null 2>&1 || die "mmdebstrap is missing: install the package mmdebstrap"
	step "installing mmdebstrap" mmdebstrap apt_install mmdebstrap
}

apt_install()
{
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "$@" && return
	apt-get update
	apt-get install -y --no-install-recommends "$@" ||
		die "cannot install $*: no packages reachable? Check this machine's apt (apt-get update)"
}

bootstrap()
{
	local root=$1 mirror=${DEBIAN_MIRROR:-$(machine_mirror)} packages uri
	local -a options=(--mode=root --variant=minbase)

	# In a user namespace the parent may be closed to other users, and apt's own user is one.
	chmod 755 "$root"
	packages=$(sed 's/#.*//' "$TOOLS/packages.txt" | tr -s ' \n' ,)
	proxy_options >"$root.apt"
	[ -s "$root.apt" ] && options+=(--aptopt="$root.apt")

	mmdebstrap "${options[@]}" --include="$packages" --setup-hook='cp /etc/resolv.conf /etc/hosts "$1/etc/" || true' \
		"$DEBIAN_SUITE" "$root" ${mirror:+"deb $mirror $DEBIAN_SUITE main"} ||
		die "no Debian $DEBIAN_SUITE from ${mirror:-the default archive}: check the network and this machine's apt," \
			"or name an archive: make DEBIAN_MIRROR=URI"
	rm -f "$root.apt"

	# The kernel is in backports, Bochs is wanted as source.
	uri=$(chroot "$root" apt-get indextargets --format '$(REPO_URI)' "Suite: $DEBIAN_SUITE" 'Created-By: Packages' 2>/dev/null | head -n 1)
	uri=${uri:-$mirror}
	[ -n "$uri" ] || uri=$(chroot "$root" apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
	printf '%s\n' "deb $uri $DEBIAN_SUITE-backports main" "deb-src $uri $DEBIAN_SUITE main" \
		>"$root/etc/apt/sources.list.d/tdx-sept.list"
	mkdir -p "$root$IN_SRC" "$root$IN_CACHE" "$root$IN_LINUX" "$root$IN_VECTORS"
}

# The Debian archive in this machine's apt configuration; nothing if there is none.
machine_mirror()
{
	local uri
	type apt-get >/dev/null 2>&1 || return 0
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
