/* json_parse() on any bytes: what it takes is valid UTF-8, and is taken again as it is printed. */
#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check_printed(struct json_object *value)
{
	char *text = json_print(value);
	struct json_object *again = json_parse(text, strlen(text), NULL);
	char *text_again;

	if (again == NULL)
		fatal("what was printed is refused: %s", text);
	text_again = json_print(again);
	if (strcmp(text, text_again) != 0)
		fatal("%s becomes %s", text, text_again);
	free(text_again);
	json_object_put(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct error err = {0};
	struct str text = {0};
	struct json_object *value;

	str_append(&text, data, size);
	value = json_parse(text.data, text.len, &err);
	if ((value == NULL) != (err.message != NULL))
		fatal("an error without a message, or a message without an error");
	if (value != NULL) {
		if (!str_utf8_valid(text.data, text.len))
			fatal("invalid UTF-8 is taken");
		check_printed(value);
	}
	json_object_put(value);
	error_clear(&err);
	str_free(&text);
	return 0;
}
