#!/bin/sh
# Stands for an agent: says what it was asked, comments on its task and moves it to Done.
set -eu

post() {
	curl --silent --show-error --fail --retry 5 --retry-connrefused --output /dev/null \
		--header "Authorization: Bearer $ATHANORE_TOKEN" \
		--header 'Content-Type: application/json' \
		--data "$2" "$ATHANORE_API/tasks/$ATHANORE_TASK_ID/$1"
}

echo "asked: $1"
post comments '{"comment": "It is done."}'
post move '{"target_queue": "Done"}'
