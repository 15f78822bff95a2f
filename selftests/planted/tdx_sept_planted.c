// SPDX-License-Identifier: GPL-2.0
/*
 * Bugs planted on purpose: `make test-debug` loads this module to see that the kernel's detectors are alive, and that what they find
 * fails a run. Which bug is the parameter's choice.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static char *bug = "";
module_param(bug, charp, 0);
MODULE_PARM_DESC(bug, "out_of_bounds, lock_inversion, leak or warning");

/* KASAN */
static void out_of_bounds(void)
{
	u8 *object = kmalloc(16, GFP_KERNEL);

	if (!object)
		return;
	/* The compiler sees no bound here. */
	OPTIMIZER_HIDE_VAR(object);
	WRITE_ONCE(object[16], 1);
	kfree(object);
}

/* lockdep: nobody else holds the locks, so nothing hangs. */
static void lock_inversion(void)
{
	static DEFINE_MUTEX(first);
	static DEFINE_MUTEX(second);

	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

/* kmemleak: more than one, for a register or a stack may still have the address of the last. */
static void leak(void)
{
	for (int i = 0; i < 16; i++) {
		void *object = kmalloc(512, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(object);
	}
}

static void warning(void)
{
	WARN(1, "planted\n");
}

static const struct {
	const char *name;
	void (*plant)(void);
} bugs[] = {
	{ "out_of_bounds", out_of_bounds },
	{ "lock_inversion", lock_inversion },
	{ "leak", leak },
	{ "warning", warning },
};

static int __init planted_init(void)
{
	for (int i = 0; i < ARRAY_SIZE(bugs); i++)
		if (!strcmp(bug, bugs[i].name)) {
			bugs[i].plant();
			return 0;
		}
	pr_err("tdx_sept_planted: there is no bug=%s\n", bug);
	return -EINVAL;
}
module_init(planted_init);

static void __exit planted_exit(void)
{
}
module_exit(planted_exit);

MODULE_DESCRIPTION("Bugs that the kernel's detectors have to find");
MODULE_LICENSE("GPL");
