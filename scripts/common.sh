# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the shell scripts here share. To be sourced. Sets $top (the checkout),
# $cache (the directory of all that is kept between runs) and $prog.

export LC_ALL=C
# The words that other programs know for "no colours": gcc has one of its own.
if [ -n "${CI-}${NO_COLOR-}" ]; then
	export NO_COLOR=1 GCC_COLORS=
fi
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
prog=${0##*/}

say() { echo "$prog: $*" >&2; }
die() { local rc=$1; shift; say "$*"; exit "$rc"; }

# Whose files are these? Under sudo they are the invoking user's, unless he
# cannot even read the checkout (as after "sudo -i" in root's own home).
sudo_user_id() {
	[ "$(id -u)" = 0 ] || return 1
	[ "${SUDO_UID:-0}" != 0 ] || return 1
	as_sudo_user test -r "$top/Makefile"
}

as_sudo_user() {
	setpriv --reuid="$SUDO_UID" --regid="${SUDO_GID:-$SUDO_UID}" \
		--clear-groups -- "$@"
}

# Continue as the invoking user under sudo, so that nothing made from here on is
# owned by root. For scripts that need no privilege: call with "$@" at the top.
drop_privileges() {
	sudo_user_id || return 0
	exec setpriv --reuid="$SUDO_UID" --regid="${SUDO_GID:-$SUDO_UID}" \
		--clear-groups -- env HOME="$(user_home)" "$0" "$@"
}

user_home() {
	local home=$HOME

	if sudo_user_id; then
		home=$(getent passwd "$SUDO_UID" | cut -d: -f6)
	fi
	echo "${home:-/}"
}

cache_dir() {
	echo "${XDG_CACHE_HOME:-$(user_home)/.cache}/vmq"
}

# To be called before anything is made in the cache.
need_cache() {
	mkdir -p "$cache" 2>/dev/null || :
	[ -w "$cache" ] ||
		die 2 "cannot write to $cache, where kernels and builds are" \
		    "kept: set XDG_CACHE_HOME to a directory that can be written"
}

# Will KUnit be part of "make test"? It is in the debug kernel alone, whatever
# KERNEL says. T is a piece of a name: of the file's, or of a case's or suite's.
kunit_runs() {
	local dir=tests/kunit names

	case ${SUITE-} in
	"" | kunit) ;;
	*) return 1 ;;
	esac
	names=$(cd "$top" && echo "$dir"/test_*.py &&
		grep -hoE '^def test_\w+|KUNIT_CASE\w*\(\w+|\.name = "\w+"' \
			"$dir"/test_*.py "$dir"/*_test.c)
	grep -qiF -e "${T-}" <<<"$names"
}

# What scripts/setup makes outside the cache, and scripts/unsetup takes back.
# shellcheck disable=SC2034 # they use it
backports=/etc/apt/sources.list.d/vmq-backports.sources
policy=/usr/sbin/policy-rc.d
policy_mark="VMQ for Linux: start nothing while packages are installed"
setup_lock=/run/vmq-setup.lock

# A setup that was killed cannot remove its policy-rc.d, and with that no package
# on this machine starts its service any more. One that is at work has the lock.
remove_stale_policy() {
	grep -qs "$policy_mark" "$policy" || return 0
	(
		flock -n 8 || exit 0
		grep -qs "$policy_mark" "$policy" || exit 0
		rm "$policy"
		say "removed $policy, which a setup that was killed left behind"
	) 8>"$setup_lock"
}

# Take the lock of a piece of the cache for the rest of this process.
# lock NAME: fd 9 stays open; the kernel drops it when the process ends.
lock() {
	need_cache
	mkdir -p "$cache/locks"
	exec 9>"$cache/locks/$1"
	wait_for_lock 9 "another run is making $1"
}

# wait_for_lock FD WHY: whoever has it, a line now and then says why we wait.
wait_for_lock() {
	local seconds=0

	until flock -w "$heard_every" "$1"; do
		seconds=$((seconds + heard_every))
		say "$2, waiting ($seconds s)"
	done
}

# What a program that had to be root left behind belongs to the invoking user.
give_back() {
	local dir

	sudo_user_id || return 0
	for dir in "$top" "$cache"; do
		[ "$(stat -c %u "$dir" 2>/dev/null)" != 0 ] || continue
		find "$dir" -xdev -name 'source-*' -prune -o -uid 0 -exec chown -h \
			"$SUDO_UID:${SUDO_GID:-$SUDO_UID}" {} + 2>/dev/null || :
	done
}

# Nobody who watches is left alone for longer than 30 s.
heard_every=25

# A line now and then while a quiet command works, with the last line of its log.
# with_ticker WHAT LOG COMMAND...
with_ticker() {
	local what=$1 log=$2 rc=0

	shift 2
	start_ticker "$what" "$log"
	"$@" >"$log" 2>&1 7>&- || rc=$?
	stop_ticker
	return "$rc"
}

# The same, and the end of the log if the command fails.
quietly() {
	with_ticker "$@" && return 0
	tail -n 25 "$2" >&2
	return 1
}

# Told by the end of a pipe and not by a signal, which a shell that has just been
# started takes for its parent's own, with the trap for its end.
start_ticker() {
	exec 7> >(tick "$1" "$2" >&2)
	ticker=$!
}

stop_ticker() {
	exec 7>&-
	wait "$ticker" 2>/dev/null || :
}

# In the background, and gone when the script is.
tick() {
	local seconds=0 rc

	while :; do
		rc=0
		read -r -t 1 || rc=$?
		[ "$rc" -gt 128 ] || break
		seconds=$((seconds + 1))
		[ $((seconds % heard_every)) = 0 ] || continue
		say "still $1 ($seconds s): $(tail -n 1 "$2" | cut -c1-100)"
	done
}

# One file that apt cannot parse stops all of apt. Leave out those that fail
# alone, for the apt programs that this script starts from now on: what is
# needed may well come from the others. DIR is a scratch directory.
use_good_sources() {
	local dir=$1/apt file

	unset APT_CONFIG
	rm -rf "$dir"
	apt-get indextargets >/dev/null 2>&1 && return 0
	mkdir -p "$dir/one" "$dir/good"
	for file in /etc/apt/sources.list.d/*.list \
	    /etc/apt/sources.list.d/*.sources; do
		[ -e "$file" ] || continue
		cp "$file" "$dir/one/"
		if apt-get indextargets -o Dir::Etc::sourcelist=/dev/null \
		    -o Dir::Etc::sourceparts="$dir/one" >/dev/null 2>&1; then
			cp "$file" "$dir/good/"
		else
			say "leaving out $file, which apt cannot read"
		fi
		rm -f "$dir/one"/*
	done
	echo "Dir::Etc::sourceparts \"$dir/good\";" >"$dir/apt.conf"
	export APT_CONFIG=$dir/apt.conf
}

cache=$(cache_dir)
