/* SPDX-License-Identifier: GPL-2.0 */
/* What the TD of accept.c is to do, and what it says in the mailbox of it. */
enum {
	ACCEPT_PAGES,
	ACCEPT_LAZY,
	ACCEPT_LARGE,
	ACCEPT_RACE,
	ACCEPT_TOUCH,
	ACCEPT_OUTSIDE,
	ACCEPT_FOR_EVER,
	SHARE,
};

/* ACCEPT_LARGE: how many pages of each size it took. */
enum {
	TOOK_2M,
	TOOK_4K,
};

/* ACCEPT_LAZY: how many #VEs there were. */
#define VES		0

/* ACCEPT_OUTSIDE: no memory of the TD. */
#define OUTSIDE		0x20000000ULL

/* Pages of ACCEPT_PAGES, ACCEPT_LAZY and ACCEPT_RACE, from INSIDE_FREE on. */
#define ACCEPT_NR	64
