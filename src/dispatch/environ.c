/* Makes an agent's environment. */
#include "dispatch/environ.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Keys to the trackers are the daemon's; an agent reaches its task through the API only. Model keys
 * pass. A token of a run that the daemon itself is part of is nobody else's. */
static const char *const secrets[] = {
    "ATHANORE_API_TOKEN=", "ATHANORE_TOKEN=", "PLANKA_TOKEN=", "PLANKA_USER=", "PLANKA_PASSWORD=",
    "LINEAR_API_KEY=", "JIRA_API_TOKEN=", "TRELLO_KEY=", "TRELLO_TOKEN="};

static bool is_secret(const char *entry)
{
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (str_starts_with(entry, secrets[i]))
			return true;
	return false;
}

/* Sets "NAME=value", replacing what the list has by that name. Takes over entry. */
static char **env_set(char **list, size_t *count, char *entry)
{
	size_t name_len = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < *count; i++) {
		if (strncmp(list[i], entry, name_len) == 0) {
			free(list[i]);
			list[i] = entry;
			return list;
		}
	}
	list = xreallocarray(list, *count + 2, sizeof(*list));
	list[(*count)++] = entry;
	list[*count] = NULL;
	return list;
}

char **environ_make(const struct run *run, const char *api_url, const char *token)
{
	struct json_object *env = json_get_array(run->options, "env");
	char **list = xcalloc(1, sizeof(*list));
	size_t count = 0;

	for (char **entry = environ; *entry != NULL; entry++)
		if (!is_secret(*entry) && strchr(*entry, '=') != NULL)
			list = env_set(list, &count, xstrdup(*entry));
	for (size_t i = 0; env != NULL && i < json_object_array_length(env); i++)
		list = env_set(list, &count,
		    xstrdup(json_object_get_string(json_object_array_get_idx(env, i))));
	list = env_set(list, &count, xasprintf("ATHANORE_API=%s", api_url));
	list = env_set(list, &count, xasprintf("ATHANORE_TASK_ID=%s", run->task_id));
	list = env_set(list, &count, xasprintf("ATHANORE_RUN_ID=%s", run->id));
	list = env_set(list, &count, xasprintf("ATHANORE_QUEUE=%s", run->queue_name));
	list = env_set(list, &count, xasprintf("ATHANORE_ATTEMPT=%d", run->attempt + 1));
	if (token != NULL)
		list = env_set(list, &count, xasprintf("ATHANORE_TOKEN=%s", token));
	return list;
}
