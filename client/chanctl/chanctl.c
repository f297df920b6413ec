/*
 * chanctl.c - the table of subcommands.
 */
#include "config.h"

#include "client/chanctl/chanctl.h"

#include <argp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/chanctl/complain.h"
#include "client/chanctl/exit_codes.h"
#include "client/chanctl/interrupt.h"

static const struct command *const commands[] = {
	&command_make,
	&command_send,
	&command_recv,
	&command_range,
	&command_close,
	&command_rm,
	&command_ls,
	&command_stat,
	&command_ps,
	&command_select,
	&command_worker,
	&command_lock,
	&command_sem,
	&command_top,
	&command_ping,
	&command_bench,
	&command_token,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "chanctl %s\n", PACKAGE_VERSION);
}

/*
 * Where a standard descriptor is closed, the connection would get its number. Something stands
 * there instead that fails as the closed one would.
 */
static void hold_standard_descriptors(void)
{
	static const int useless[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", useless[fd]) != fd)
			_exit(EXIT_IO);
}

/* The text of --help, the caller's to free: what stands behind \v comes after the options. */
static char *summary(void)
{
	char *text = NULL;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	if (stream == NULL)
		return NULL;
	fputs("Go's channels, from the shell.\vCommands:\n", stream);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(stream, "  %-8s %s\n", commands[i]->name, commands[i]->brief);
	fputs("\n`chanctl COMMAND --help' says more, chanctl(1) everything.\n\n"
	      "  chanctl make jobs --type string --cap 10\n"
	      "  seq 1 1000 | chanctl send jobs --lines --close\n"
	      "  chanctl range jobs | wc -l",
		stream);
	fclose(stream);
	return text;
}

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};
	char called_as[64], *help = summary();
	int first, code;

	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_USAGE;
	hold_standard_descriptors();
	interrupt_prepare();
	options_init(&ctl.options);
	first = options_parse_global(&ctl.options, argc, argv, help);
	if (first == argc)
		options_refuse("a command is missing; `chanctl --help' lists them");
	ctl.command = command_find(argv[first]);
	if (ctl.command == NULL)
		options_refuse(
			"there is no command '%s'; `chanctl --help' lists them", argv[first]);
	snprintf(called_as, sizeof(called_as), "chanctl %s", ctl.command->name);
	argv[first] = called_as;
	options_parse_command(&ctl.options, &ctl.command->usage, argc - first, argv + first);
	code = ctl.command->run(&ctl);
	chan_hangup(ctl.client);
	options_fini(&ctl.options);
	free(help);
	return code;
}
