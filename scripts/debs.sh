# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2154 # $cache is common.sh's
#
# Debian packages that are taken apart into the cache and installed nowhere. To
# be sourced, after common.sh.

distro() {
	local id
	id=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)
	echo "${id:-unknown}"
}

# A directory appears under its final name only when it is complete.
work_dir() {
	mkdir -p "$cache/tmp"
	work=$(mktemp -d "$cache/tmp/$1.XXXXXX")
	trap 'rm -rf "$work"' EXIT
}

publish() {
	mkdir -p "$(dirname "$2")"
	[ -d "$2" ] || mv -T "$1" "$2"
}

# download NAME[=VERSION]
download() (
	cd "$work/debs" &&
	apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 \
		-o Acquire::http::Timeout=30 download "$1"
)

# fetch VERSION PACKAGE...: unpack the packages below $work/root, each in this
# version. Without one it is apt's choice.
fetch() {
	local version=$1 package deb log=$work/fetch.log

	shift
	use_good_sources "$work"
	mkdir -p "$work/debs" "$work/root"
	for package; do
		say "downloading $package${version:+ $version}"
		package+=${version:+=$version}
		quietly "downloading $package" "$log" download "$package" ||
			die 2 "cannot download $package: no network? (needed" \
			      "once; it is cached afterwards)"
	done
	for deb in "$work"/debs/*.deb; do
		quietly "unpacking ${deb##*/}" "$log" \
			dpkg-deb -x "$deb" "$work/root"
		# shellcheck disable=SC2034 # the last one's NAME_VERSION_ARCH
		fetched=$(basename "$deb" .deb)
		rm "$deb"
	done
}
