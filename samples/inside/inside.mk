# SPDX-License-Identifier: GPL-2.0
#
# How a program that runs in a TD is built: `$(call INSIDE_LINK,SOURCES)` in a rule for it, with
# INSIDE_DIR being this directory. The result is an ELF file that td_vmm takes as an image.

INSIDE_DEPS := $(addprefix $(INSIDE_DIR)/,boot.S inside.c inside.h ghci.h layout.h inside.lds inside.mk)

# Nothing is below it: no C library, no vector registers, no red zone that traps would spoil.
INSIDE_CFLAGS := -O2 -Wall -Wextra -std=gnu11 -ffreestanding -nostdlib -static -no-pie -fno-pic -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone -mgeneral-regs-only -I$(INSIDE_DIR)

INSIDE_LINK = $(CC) $(INSIDE_CFLAGS) -Wl,-T,$(INSIDE_DIR)/inside.lds -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments \
	-o $@ $(INSIDE_DIR)/boot.S $(INSIDE_DIR)/inside.c $(1)
