/* clock_parse() on any text: what it takes is the time that it is written as. */
#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *text = xmemdup0(data, size);
	char written[CLOCK_TEXT_SIZE];
	int64_t ms, again;

	/* An offset may carry a time over the edge of what four digits can say. */
	if (clock_parse(text, &ms) && ms >= -62167219200000 && ms <= 253402300799999)
		if (!clock_parse(clock_format(ms, written), &again) || again != ms)
			fatal("%s becomes %s", text, written);
	free(text);
	return 0;
}
