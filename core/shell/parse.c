/* SPDX-License-Identifier: MIT */
/* The shell's tokenizer: one pass, no memory but the caller's. */
#include "parse.h"
#include <quire/errno.h>

struct cursor {
	const char *from;
	char *to, *end; /* the last byte of `text` is kept for a NUL */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool put(struct cursor *c, char character)
{
	if (c->to == c->end)
		return false;
	*c->to++ = character;
	return true;
}

/* The inside of a quoted piece, behind its opening quote. */
static int take_quoted(struct cursor *c, char quote)
{
	while (*c->from != quote) {
		if (quote == '"' && *c->from == '\\' && (c->from[1] == '"' || c->from[1] == '\\'))
			c->from++;
		if (!*c->from)
			return -EINVAL;
		if (!put(c, *c->from++))
			return -E2BIG;
	}
	c->from++;
	return 0;
}

/* One word, up to a blank, ';' or the end. */
static int take_word(struct cursor *c)
{
	while (*c->from && *c->from != ';' && !is_blank(*c->from)) {
		char character = *c->from++;
		int err = 0;

		if (character == '\'' || character == '"') {
			err = take_quoted(c, character);
		} else {
			if (character == '\\')
				character = *c->from ? *c->from++ : 0;
			if (!character)
				err = -EINVAL;
			else if (!put(c, character))
				err = -E2BIG;
		}
		if (err)
			return err;
	}
	return put(c, 0) ? 0 : -E2BIG;
}

int parse_command(const char **line, struct parsed_command *out)
{
	struct cursor c = {.from = *line, .to = out->text, .end = out->text + sizeof out->text};

	out->argc = 0;
	out->argv[0] = NULL;
	if (!*c.from)
		return 0;
	for (;;) {
		int err;

		while (is_blank(*c.from))
			c.from++;
		if (!*c.from || *c.from == ';')
			break;
		if (out->argc == SHELL_ARGS_MAX)
			return -E2BIG;
		out->argv[out->argc] = c.to;
		err = take_word(&c);
		if (err)
			return err;
		out->argc++;
	}
	out->argv[out->argc] = NULL;
	*line = *c.from ? c.from + 1 : c.from;
	return 1;
}
