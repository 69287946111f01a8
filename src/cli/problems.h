#ifndef ATHANORE_CLI_PROBLEMS_H
#define ATHANORE_CLI_PROBLEMS_H

#include "script/script.h"

/* Prints a script's problems on stderr as FILE:LINE: MESSAGE, and how many there are. */
void problems_print(const struct script_problems *problems);

#endif
