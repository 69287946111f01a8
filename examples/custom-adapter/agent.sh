#!/bin/sh
# Stands for an agent: says what it was asked, and moves its task to Done through the API.
set -eu

echo "asked: $1"
curl --silent --show-error --fail --retry 5 --retry-connrefused \
	--header "Authorization: Bearer $ATHANORE_TOKEN" \
	--header 'Content-Type: application/json' \
	--data '{"target_queue": "Done"}' \
	"$ATHANORE_API/tasks/$ATHANORE_TASK_ID/move"
