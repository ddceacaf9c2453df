/* SPDX-License-Identifier: MIT */
/* version: which Quire this is. The build defines QUIRE_VERSION and its kin. */
#include <quire/errno.h>
#include <quire/shell.h>

static int run_version(int argc, char **argv)
{
	bool json = shell_take_flag(&argc, argv, "--json");
	struct json j;

	if (shell_no_more(argc, argv))
		return -EINVAL;
	if (!json) {
		shell_printf("Quire %s (%s) for %s, built with %s, %s\n", QUIRE_VERSION,
			     QUIRE_COMMIT, QUIRE_ARCH_NAME, __VERSION__, QUIRE_BUILD_TYPE);
		return 0;
	}
	shell_json_begin(&j);
	json_string(&j, "name", "Quire");
	json_string(&j, "version", QUIRE_VERSION);
	json_string(&j, "commit", QUIRE_COMMIT);
	json_string(&j, "arch", QUIRE_ARCH_NAME);
	json_string(&j, "compiler", __VERSION__);
	json_string(&j, "build_type", QUIRE_BUILD_TYPE);
	shell_json_end(&j);
	return 0;
}

SHELL_COMMAND(version) = {
	.name = "version",
	.arguments = "[--json]",
	.summary = "Which Quire this is",
	.help = "Version, source commit, CPU, compiler and kind of build.\n",
	.run = run_version,
};
