# SPDX-License-Identifier: GPL-2.0-only
#
# What to build and run. How the modules are built is in Kbuild.

# An empty variable would not mean the same as none to every program.
options = KDIR T SUITE KERNEL FULL SEED DEMO_BREAK ACCEL
$(foreach o,$(options),$(eval $(if $($o),export,unexport) $o))
MAKEFLAGS += --no-print-directory

need_root = $(if $(filter 0,$(shell id -u)),,$(error run this as root: sudo make $@))

modules: ## build the modules (for the running kernel, or KDIR=build-directory)
	@scripts/modules build

demo: ## show it: a stock kernel in QEMU, three VMs, frames from outside (SEED=n)
	$(need_root)@scripts/run demo

test: ## all tests; T=name: one; SUITE=lint|vm|kunit|link|queues|placement|vswitch: one group; KERNEL=stock|debug: all on one (KUnit: always debug); FULL=1: full counts
	$(need_root)@scripts/run test

mutants: ## break the driver, a promise at a time, and see that a test fails each time; T=name: one; T=kunit: without a NIC
	$(need_root)@scripts/run mutants

lint: ## the checks on the sources alone
	@scripts/run lint

vm: ## a shell in a guest with the driver bound and this file system inside (KERNEL=stock|debug)
	$(need_root)@scripts/run vm

load: ## build and load the modules into the running kernel, from here
	$(need_root)@scripts/modules load

unload: ## unload them
	$(need_root)@scripts/modules unload

install: ## install the modules into updates/ of the kernel's modules, run depmod
	$(need_root)@scripts/modules install

bench: ## what filters cost a frame, in guest instructions, against the limits
	$(need_root)@scripts/run bench

unsetup: ## take back what demo and test changed in the configuration of this machine
	$(need_root)@scripts/unsetup

clean: ## remove what "make" built here
	@scripts/modules clean

help: ## this list
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' Makefile | \
		while IFS='	' read -r t d; do printf '%-9s %s\n' "$$t" "$$d"; done

.PHONY: modules demo test mutants lint vm load unload install bench unsetup clean help
.NOTPARALLEL:
