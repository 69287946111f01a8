#!/bin/sh
# Stands for an agent that fails in several ways; what it says on stderr is put into the comment on its task.
set -eu

echo "attempt $ATHANORE_ATTEMPT: $1"
case $ATHANORE_TASK_ID in
1)
	if [ "$ATHANORE_ATTEMPT" -eq 1 ]; then
		echo "the first attempt is in vain" >&2
		exit 1
	fi
	;;
2)
	exit 0 # without moving its task
	;;
3)
	exec sleep 60
	;;
esac

curl --silent --show-error --fail --retry 5 --retry-connrefused --output /dev/null \
	--header "Authorization: Bearer $ATHANORE_TOKEN" \
	--header 'Content-Type: application/json' \
	--data '{"target_queue": "Done"}' \
	"$ATHANORE_API/tasks/$ATHANORE_TASK_ID/move"
